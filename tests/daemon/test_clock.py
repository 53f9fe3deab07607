"""The wall clock is set, far and near, both ways: nothing expires by it, nothing is lost, nothing changes its order."""

import pytest

HISTORY = [{"filter": "#", "max_messages": 10000000, "max_bytes": 4 << 30}]
YEARS_S = 10 * 365 * 86400


@pytest.mark.fault("clock-set")
def test_it_is_set_while_messages_wait(hub, daemon, stored, shim, free_port, row):
    port = free_port()
    machine = daemon(f"ws://127.0.0.1:{port}/api/v1", start=False, outbox__age_s=3600, outbox__late_s=3000)
    server = hub(port=port)
    machine.file.write_text(machine.file.read_text().replace("pk_nobody_in_particular", server.key))
    server.proc.kill()
    machine.start(shim.env)
    with machine.local() as program:
        for i, seconds in enumerate((0, YEARS_S, -YEARS_S, 86400)):
            shim.clock(seconds)
            program.publish("event/a", i, expiry_s=60)
            machine.wait_status(lambda s: s["outbox"]["messages"] == i + 1)  # noqa: B023 -- asked at once
        shim.clock(-YEARS_S)
        machine.proc.stop()
    machine.start(shim.env)  # set back while nobody ran: no time went by
    row.agrees(machine)
    server = hub(port=port, history=HISTORY)
    machine.wait_empty()
    messages = stored(server, "event/#")
    assert [m["payload"] for m in messages] == [0, 1, 2, 3]
    assert not any("resent" in name for m in messages for name, _ in m.get("headers", []))
    assert machine.status()["outbox"]["expired"] == 0
