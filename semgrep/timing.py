from sluicegate.crypto.compare import equal


def bad(given, signature, row, mac):
    # ruleid: timing
    if signature == given:
        return True
    # ruleid: timing
    if row.token_hash != given:
        return False
    # ruleid: timing
    return mac == given


def good(given, signature, row, mac):
    # ok: timing
    if equal(signature, given):
        return True
    # ok: timing
    if signature == "":
        return False
    # ok: timing
    if len(mac) != 64:
        return False
    # ok: timing
    return row.checksum == given
