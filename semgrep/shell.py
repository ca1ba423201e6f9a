import asyncio
import os
import subprocess


async def bad(name):
    # ruleid: shell
    os.system(f"cat {name}")
    # ruleid: shell
    os.popen(name)
    # ruleid: shell
    subprocess.run(f"cat {name}", shell=True, check=True)
    # ruleid: shell
    subprocess.Popen(["sh", "-c", name])
    # ruleid: shell
    subprocess.getoutput(name)
    # ruleid: shell
    await asyncio.create_subprocess_shell(name)


async def good(name):
    # ok: shell
    subprocess.run(["cat", "--", name], check=True)
    # ok: shell
    subprocess.Popen(["cat", name], shell=False)
    # ok: shell
    await asyncio.create_subprocess_exec("cat", name)
