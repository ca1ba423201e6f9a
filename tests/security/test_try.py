from sluicegate.base.principal import Role
import time

def test_a(place):
    print(place.call("session.whoami", token=place.token(Role.EDITOR)))
    r = place.request("GET", "/api/v1//session/whoami", place.token(Role.EDITOR)); print(r.status_code, r.text)
    r = place.request("GET", "/api/v1/flows?limit=1", place.token(Role.EDITOR)); print(r.status_code, r.text)
    r = place.request("GET", "/api/v1/flows", place.token(Role.EDITOR)); print(r.status_code, r.text, r.headers)

def test_b(engine):
    t=time.time()
    tok=engine.token(Role.EDITOR)
    engine.call("definition.apply", {"source":"kind: flow\nname: idle\nsteps: []\n"}, tok)
    r=engine.call("run.start", {"name":"idle"}, tok)
    for _ in range(50):
        s=engine.call("run.get", {"id": r.id}, tok)
        if s.state not in ("queued","running"): break
        time.sleep(0.05)
    print(s, time.time()-t)
    print(engine.records())
def test_c(engine):
    test_b(engine)
