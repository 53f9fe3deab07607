"""`scene import`: GeoJSON and CSV to objects, where things come to lie, and every mistake at its place in the file."""

import json
import math

import jsonschema
import pytest
from rpc import Rpc


def feature(geometry, coordinates, properties=None, **more):
    return {"type": "Feature", "geometry": {"type": geometry, "coordinates": coordinates}, "properties": properties, **more}


def collection(*features):
    return json.dumps({"type": "FeatureCollection", "features": features})


@pytest.fixture
def dry(client, root):
    """dry(text, *args, name=) -> {id: object} of a dry run, all of them right; .note is what it said."""
    c = client(None, url="ws://127.0.0.1:1/api/v1", key="")
    schema = json.loads((root / "config/scene.schema.json").read_text())
    valid = jsonschema.Draft202012Validator({**schema["$defs"]["object"], "$defs": schema["$defs"]})

    def dry(text, *args, name="places.geojson"):
        file = c.cwd / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        done = c.run("scene", "import", "--dry-run", *args, str(file))
        assert done.returncode == 0, done
        dry.note = done.stderr
        out = {}
        for line in done.stdout.splitlines():
            topic, _, payload = line.partition("\t")
            assert topic.startswith("scene/objects/") and topic not in out
            out[topic.removeprefix("scene/objects/")] = json.loads(payload)
        assert all(valid.is_valid(one) for one in out.values())
        return out

    return dry


@pytest.fixture
def mistakes(client):
    """mistakes(text, name=) -> the lines that name them, without the file's."""
    c = client(None, url="ws://127.0.0.1:1/api/v1", key="")

    def mistakes(text, name="places.geojson"):
        file = c.cwd / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        done = c.run("scene", "import", str(file))  # it needs no server to say so
        assert done.returncode == 2 and not done.stdout and "  fix: " in done.stderr, done
        return [line.removeprefix(f"{file}:") for line in done.stderr.splitlines() if line.startswith(f"{file}:")]

    return mistakes


# --- GeoJSON


def test_each_geometry(dry):
    ring = [[0, 0], [0.01, 0], [0.01, 0.01], [0, 0]]
    got = dry(
        collection(
            feature("Point", [0, 0], {"name": "Here", "marker-color": "#ff0000", "sprite": "pin"}, id="stop/1"),
            feature("MultiPoint", [[0, 0], [0.001, 0, 99]], id=7),
            feature("LineString", [[0, 0], [0.001, 0.001]], {"stroke": "#00ff00"}),
            feature("MultiLineString", [[[0, 0], [0.001, 0.001]], [[1, 1], [1.001, 1]]]),
            feature("Polygon", [ring, ring], {"title": 5, "fill": "red"}),
            feature("MultiPolygon", [[ring], [ring, ring]]),
            {"type": "Feature", "geometry": None, "properties": {}},
            {"type": "Feature", "properties": {"name": "both"}, "geometry": {"type": "GeometryCollection", "geometries": [
                {"type": "Point", "coordinates": [0, 0]}, {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}]}},
        )
    )  # fmt: skip
    assert list(got) == [
        "places-stop-1", "places-7-1", "places-7-2", "places-3", "places-4-1", "places-4-2", "places-5", "places-6-1",
        "places-6-2", "places-8-1", "places-8-2",
    ]  # fmt: skip
    stop = got["places-stop-1"]
    assert (stop["label"], stop["tint"], stop["sprite"], stop["data"]["name"]) == ("Here", "#ff0000", "pin", "Here")
    assert got["places-3"]["shape"] == "line" and got["places-3"]["tint"] == "#00ff00"
    assert got["places-5"]["shape"] == "polygon" and len(got["places-5"]["points"]) == 3
    assert got["places-5"]["label"] == "5" and "tint" not in got["places-5"]
    assert "1 without a geometry" in dry.note and "2 holes of polygons" in dry.note


def test_the_projection(dry):
    """Mercator on a sphere of 6378137 m, true to scale at the centre; north is up, and y grows downwards."""
    lon, lat = 13.4, 52.5
    text = collection(feature("Point", [lon, lat]), feature("Point", [lon + 0.01, lat]), feature("Point", [lon, lat + 0.01]))
    here, east, north = dry(text).values()
    assert (here["x"], here["y"]) == (0, 0) and f"{lon},{lat} lies at 0, 0" in dry.note
    metres = 6378137 * math.radians(0.01)
    assert east["x"] == pytest.approx(metres * math.cos(math.radians(lat)), abs=0.001) and east["y"] == 0
    assert north["x"] == 0 and north["y"] == pytest.approx(-metres, rel=2e-4)
    moved = dry(text, "--center", f"{lon},{lat + 0.01}", "--scale", "0.5")
    assert [one["y"] for one in moved.values()][2] == 0
    assert [one["y"] for one in moved.values()][0] == pytest.approx(metres / 2, rel=2e-4)


def test_a_feature_and_a_geometry_by_themselves(dry):
    assert list(dry(json.dumps(feature("Point", [1, 2])))) == ["places-1"]
    assert list(dry('{"type": "Point", "coordinates": [1, 2]}', "--prefix", "p", name="a.json")) == ["p-1"]
    assert dry('{"type": "FeatureCollection", "features": []}') == {}


def test_more_points_than_an_object_may_have(dry):
    line = [[i / 1000, 0] for i in range(2500)]
    got = dry(collection(feature("LineString", line)))
    assert list(got) == ["places-1-1", "places-1-2", "places-1-3"]
    assert [len(one["points"]) for one in got.values()] == [1024, 1024, 454]
    one, two, _ = got.values()
    assert one["x"] + one["points"][-1][0] == pytest.approx(two["x"], abs=0.01)  # where it ends the next begins
    ring = [[math.cos(i / 500), math.sin(i / 500)] for i in range(3141)]
    (only,) = dry(collection(feature("Polygon", [[*ring, ring[0]]]))).values()
    assert len(only["points"]) == 1024


def test_ids_that_may_not_stand_in_a_topic(dry):
    got = dry(collection(*(feature("Point", [0, 0], id=i) for i in ("a/b", "+", "#x", "ä", "z" * 300, "\n"))))
    assert list(got)[:4] == ["places-a-b", "places--", "places--x", "places-ä"]
    assert all(len(name.encode()) <= 128 for name in got)


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "1:1: found no JSON"),
        ('{"type": "FeatureCollection",\n "features": [,]}', "2:15: found no JSON"),
        ("[]", "1:1: expected GeoJSON, an object"),
        ('{"type": "FeatureCollection"}', "1:1: expected features, a list"),
        ('{"type": "FeatureCollection", "features": [\n1]}', "2:1: expected a feature"),
        ('{"type": "Circle", "coordinates": []}', "1:11: expected a type of geometry"),
        ('{"type": "Point"}', "1:1: expected coordinates, a list"),
        ('{"type": "Point", "coordinates": [1]}', "1:34: expected a position"),
        ('{"type": "Point", "coordinates": ["1", 2]}', "1:34: expected a position"),
        ('{"type": "Point", "coordinates": [1, 91]}', "1:34: found longitude 1, latitude 91, expected degrees"),
        ('{"type": "Point", "coordinates": [1e999, 1]}', "1:34: found longitude inf"),
        ('{"type": "MultiPoint", "coordinates": [[1, 2],\n 3]}', "2:2: expected a position"),
        ('{"type": "LineString", "coordinates": [[1, 2]]}', "1:39: expected two positions"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[1,1],[2,2]]]}', "1:37: expected a ring"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[1,1],[2,2],[3,3]]]}', "1:37: expected a ring"),
        ('{"type": "Polygon", "coordinates": []}', "1:36: expected a ring at least"),
        (collection(feature("Point", [0, 0], {"sprite": "dragon"})), '1:44: sprite: found "dragon", expected "dot"'),
        (collection(feature("Point", [0, 0], {"name": "x" * 257})), "1:44: label: found"),
        (b'{"type": "Point", "coordinates": [1, 2], "a": "\xff"}', "1:48: found no JSON"),
    ],
)
def test_mistakes_in_geojson(mistakes, text, says):
    (line,) = mistakes(text)
    assert line.startswith(says), line


def test_all_mistakes_are_told_at_once_and_nothing_is_sent(hub, client):
    server = hub()
    c = client(server)
    features = [feature("Point", [0, 100 if i % 2 else 0]) for i in range(10)]
    (c.cwd / "a.geojson").write_text('{"type": "FeatureCollection", "features": [\n' + ",\n".join(map(json.dumps, features)) + "]}")
    done = c.run("scene", "import", "a.geojson")
    assert done.returncode == 2
    assert [line.split(":")[1] for line in done.stderr.splitlines() if line.startswith("a.geojson:")] == list("357") + ["9", "11"]
    (c.cwd / "b.geojson").write_text(collection(*[feature("Point", [0, 100])] * 100))
    done = c.run("scene", "import", "b.geojson")
    assert done.stderr.count("found longitude") == 20 and "no more is looked for" in done.stderr
    with Rpc(server) as link:
        assert link.call("history", filter="#")["messages"] == []


# --- CSV


def test_csv(dry):
    text = '\ufeffid,lon,lat,label,sprite,z,alpha,line,seats\r\na,0,0,"Alex, ""here""\nand there",tram,5,0.5,M4,120\r\n\r\nb,0.001,0,,,,,"",\r\n'
    got = dry(text, name="stops.csv")
    assert got == {
        "stops-a": {"x": 0, "y": 0, "label": 'Alex, "here"\nand there', "sprite": "tram", "z": 5, "alpha": 0.5,
                    "data": {"line": "M4", "seats": 120}},
        "stops-b": {"x": pytest.approx(111.319), "y": 0},
    }  # fmt: skip
    got = dry("x;y;tint\n1;2;#ff0000\n3;4.5;", name="plain.txt.csv")
    assert got == {"plain-1": {"x": 1, "y": 2, "tint": "#ff0000"}, "plain-2": {"x": 3, "y": 4.5}}
    assert dry("latitude\tlongitude\n0\t0\n", "--format", "csv", name="tabs") == {"tabs-1": {"x": 0, "y": 0}}
    assert dry("x,y", name="none.csv") == {}


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "1:1: found nothing"),
        ("name\na\n", "1:1: found no place, expected columns lon and lat, or x and y"),
        ("x,y\n1\n", "2:1: found 1 fields, expected 2"),
        ("x,y\n1,2,3\n", "2:1: found 3 fields, expected 2"),
        ("x,y\n1,b\n", '2:1: y: found "b", expected a number'),
        ("x,y\n1,\n", "2:1: y: found none, expected a number"),
        ("x,y,tint\n1,2,#ff0000\n1,2,red\n", '3:1: tint: found "red", expected a colour'),
        ("x,y\n1,01\n", '2:1: y: found "01", expected a number'),
        ("lon,lat\n1,x\n", "2:3: expected a number of degrees"),
        ("lon,lat\n1,89\n", "2:1: found longitude 1, latitude 89"),
        ('x,y\n1,"2\n', "2:3: found a quote that does not end"),
        ('x,y\n1,"2"3\n', "2:6: found something behind a quoted field"),
        (b"x,y,label\n1,2,\xff\n", "2:5: found bytes that are not UTF-8"),
        ('x,y,"a""b"\n1,2,3\n', "1:5: expected a column's name"),
        ("x,y,,\n1,2,3,4\n", "1:5: expected a column's name"),
        (",".join(["x", "y"] + ["c"] * 255) + "\n", "1:513: found too many columns"),
    ],
)
def test_mistakes_in_csv(mistakes, text, says):
    (line,) = mistakes(text, name="places.csv")
    assert line.startswith(says), line


# --- the way there


def test_an_import_is_put_there_and_taken_away(hub, client):
    server = hub()
    c = client(server)
    text = collection(*(feature("Point", [i / 1000, 0], {"name": f"n{i}"}) for i in range(3000)))
    done = c.run("scene", "import", "--format", "geojson", "-", input=text)
    assert done.returncode == 0 and "3000 objects put there" in done.stderr, done
    with Rpc(server) as link:
        link.call("subscribe", filter="scene/objects/+", batch_ms=10)
        link.note("synced")
        got = {note["params"]["topic"]: note["params"]["payload"] for note in link._notes}
    assert len(got) == 3000 and got["scene/objects/import-17"]["label"] == "n16"
    assert "3000 taken away" in c.run("scene", "clear", "import-").stderr


@pytest.mark.parametrize("what", ["missing.csv", "folder.csv"])
def test_files_that_cannot_be_read(client, what):
    c = client(None, url="ws://127.0.0.1:1/api/v1", key="")
    (c.cwd / "folder.csv").mkdir()
    done = c.run("scene", "import", what)
    assert done.returncode == 2 and f"{what} cannot be read" in done.stderr and "fix: " in done.stderr
