import httpx
import psycopg
import ssl


def bad(context):
    # ruleid: tls-off
    httpx.Client(verify=False)
    # ruleid: tls-off
    context.check_hostname = False
    # ruleid: tls-off
    context.verify_mode = ssl.CERT_NONE
    # ruleid: tls-off
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    # ruleid: tls-off
    psycopg.connect(host="db", sslmode="disable")
    # ruleid: tls-off
    return ssl._create_unverified_context()


def good(context):
    # ok: tls-off
    httpx.Client(verify=context)
    # ok: tls-off
    context.verify_mode = ssl.CERT_REQUIRED
    # ok: tls-off
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # ok: tls-off
    psycopg.connect(host="db", sslmode="verify-full")
    # ok: tls-off
    return ssl.create_default_context()
