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
    return request.headers["Authorization"]
