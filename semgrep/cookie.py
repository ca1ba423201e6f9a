def bad(request, response):
    # ruleid: cookie
    response.set_cookie("session", "1")
    # ruleid: cookie
    response.headers["Set-Cookie"] = "session=1"
    # ruleid: cookie
    response.raw.append((b"set-cookie", b"session=1"))
    # ruleid: cookie
    return request.cookies["session"]


def good(request, response):
    # ok: cookie
    response.headers["Cache-Control"] = "no-store"
    # ok: cookie
    response.raw.append((b"dpop-nonce", b"1"))
    # ok: cookie
    kept = [pair for pair in response.raw if pair[0] != b"set-cookie"]
    # ok: cookie
    return request.headers["Authorization"]
