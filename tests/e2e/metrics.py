"""/metrics, asked and read strictly: Prometheus' text format 0.0.4."""

import re
import urllib.error
import urllib.request

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HELP = re.compile(rf"# HELP ({NAME}) ((?:[^\\\n]|\\[\\n])+)")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge)")
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([0-9]+(?:\.[0-9]+)?)")


def parse(text):
    """(families, samples): {name: (type, help)} in order, {"name" or 'name{a="b"}': value}."""
    assert text.endswith("\n") and "\r" not in text
    families, samples, open_family = {}, {}, None
    lines = iter(text[:-1].split("\n"))
    for line in lines:
        told = HELP.fullmatch(line)
        if told:
            kind = TYPE.fullmatch(next(lines))
            open_family = told[1]
            assert kind and kind[1] == open_family and open_family not in families, line
            families[open_family] = kind[2], told[2]
            assert (kind[2] == "counter") == open_family.endswith("_total"), line
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample and sample[1] == open_family, line
        series = line.rpartition(" ")[0]
        assert series not in samples, line
        samples[series] = float(sample[3])
    return families, samples


def get(port, path, method="GET"):
    """Status, header fields, body."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


def port_of(server):
    """Where it answers operators: started with metrics__listen=["127.0.0.1:0"]."""
    return int(server.proc.wait_line(r":(\d+) for metrics$", stream="out")[1])


def page(server):
    status, fields, body = get(port_of(server), "/metrics")
    assert (status, fields["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return body.decode()


def samples(server):
    return parse(page(server))[1]


def refused(server, reason):
    return samples(server)[f'pixi_refused_total{{reason="{reason}"}}']
