def bad(log, context, password):
    text = password.reveal()
    # ruleid: secret-in-text
    log.info("signing in", password=text)
    # ruleid: secret-in-text
    log.warning(f"signing in with {text}")
    # ruleid: secret-in-text
    context.log(f"signing in with {password.reveal()}")
    # ruleid: secret-in-text
    print(password.reveal())
    address = f"postgresql://loader:{text}@db"
    # ruleid: secret-in-text
    raise ValueError(f"no answer from {address}")


def good(log, context, password, driver):
    # ok: secret-in-text
    log.info("signing in", password=password)
    # ok: secret-in-text
    context.log(f"signing in with {password}")
    # ok: secret-in-text
    connection = driver.connect(host="db", password=password.reveal())
    if not connection:
        # ok: secret-in-text
        raise ValueError("no answer from db")
    return connection
