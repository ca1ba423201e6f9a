import jwt


def bad(token, key):
    # ruleid: token-unpinned
    jwt.decode(token, key)
    # ruleid: token-unpinned
    jwt.decode(token, key, algorithms=["HS512", "none"])
    # ruleid: token-unpinned
    jwt.decode(token, algorithms=["HS512"], options={"verify_signature": False})
    # ruleid: token-unpinned
    jwt.encode({"sub": "ann"}, key, algorithm="none")
    # ruleid: token-unpinned
    return jwt.decode(token, key, algorithms=["HS512"], options={"require": ["exp"], "verify_exp": False})


def good(token, key):
    # ok: token-unpinned
    jwt.encode({"sub": "ann"}, key, algorithm="HS512")
    # ok: token-unpinned
    return jwt.decode(token, key, algorithms=["HS512"], audience="sluicegate", options={"require": ["exp"]})
