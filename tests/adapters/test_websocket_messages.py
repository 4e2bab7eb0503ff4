"""Messages of ``fasterapi.WebSocket``: kinds, sizes, routes, many at once; by the client of ``websockets``."""

from __future__ import annotations

import json
import random
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
from apps.websocket_class import random_message
from support.websocket_client import TIMEOUT, opened, target
from websockets.exceptions import ConnectionClosedOK


@pytest.fixture(params=["", "/wrapped"], ids=["direct", "wrapped"])
def client(shared, request):
    yield from opened(shared("apps.websocket_class:app"), request.param)


@pytest.fixture
def source() -> random.Random:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


def random_text(source: random.Random, size: int) -> str:
    return "".join(source.choices("abcdefghijklmnopqrstuvwxyz ABC 0123456789 äöüß", k=size))


class TestBasics:
    def test_texts_come_back(self, client, source):
        connection = client("/echo")
        for _ in range(10):
            text = random_text(source, source.randint(10, 1000))
            connection.send(text)
            assert connection.recv(TIMEOUT) == text

    def test_binary_messages_come_back(self, client, source):
        connection = client("/echo")
        for _ in range(10):
            data = source.randbytes(source.randint(10, 1000))
            connection.send(data)
            assert connection.recv(TIMEOUT) == data

    def test_json_comes_back(self, client, source):
        connection = client("/json_echo")
        for _ in range(10):
            value = {
                "id": source.randint(0, 10**9),
                "name": random_text(source, 20),
                "nested": {"list": [source.random() for _ in range(5)], "none": None, "yes": True},
            }
            connection.send(json.dumps(value))
            assert json.loads(connection.recv(TIMEOUT)) == {"echo": value}

    def test_send_takes_every_kind(self, client, tag):
        steps = [
            ["send", ["text é"]],
            ["send", [b"bytes"]],
            ["send", [{"a": ["é", None]}]],
            ["send", [[1, 2.5]]],
            ["send", [5]],
            ["send", [None]],
            ["send", [("a", "tuple")]],
            ["send", [{"set": {1}}]],
            ["send_json", ["just é"]],
            ["send_json", [None]],
            ["send_json", [{"k": 1}, "binary"]],
            ["send_json", [{}, "other"]],
            ["send_json", [{1, 2}]],
            ["send_text", [b"no text"]],
            ["send_bytes", ["no bytes"]],
        ]
        connection = client(target(steps, tag))
        assert list(connection) == [
            "text é",
            b"bytes",
            '{"a":["é",null]}',
            "[1,2.5]",
            '"just é"',
            "null",
            b'{"k":1}',
        ]
        told = client.server.probe.expect("outcomes", tag)["outcomes"]
        assert told[4] == "TypeError: Unsupported message type: <class 'int'>"
        assert [each and each.split(":")[0] for each in told] == [
            *[None] * 4,
            *["TypeError"] * 4,
            *[None] * 3,
            *["ValueError", "TypeError", "TypeError", "TypeError"],
        ]


class TestRoutes:
    def test_each_path_has_its_handler(self, client):
        upper, reverse, echo = client("/upper"), client("/reverse"), client("/echo")
        upper.send("Mixed ä")
        reverse.send(b"\x00\x01\x02")
        echo.send("same")
        assert upper.recv(TIMEOUT) == "MIXED Ä"
        assert reverse.recv(TIMEOUT) == b"\x02\x01\x00"
        assert echo.recv(TIMEOUT) == "same"

    def test_http_and_websockets_share_a_path(self, client):
        connection = client("/echo")
        answer = client.server.get("/echo")
        assert (answer.status, answer.body) == (200, b"GET /echo")
        connection.send("still here")
        assert connection.recv(TIMEOUT) == "still here"


class TestConcurrency:
    def test_ten_connections_are_served_at_once(self, client, source):
        messages = [[random_text(source, source.randint(10, 1000)) for _ in range(20)] for _ in range(10)]
        connections = [client("/echo") for _ in messages]

        def talk(connection, texts):
            for text in texts:
                connection.send(text)
            return [connection.recv(TIMEOUT) for _ in texts]

        with ThreadPoolExecutor(len(messages)) as pool:
            assert list(pool.map(talk, connections, messages)) == messages

    def test_a_hundred_sends_at_once_leave_in_the_order_of_the_calls(self, client):
        connection = client("/concurrent")
        assert list(connection) == [
            f"text {number}" if number % 2 else b"%d" % number for number in range(100)
        ]

    def test_a_hundred_messages_at_once_are_received_in_order(self, client):
        connection = client("/echo")
        texts = [f"message {number}" for number in range(100)]
        for text in texts:
            connection.send(text)
        assert [connection.recv(TIMEOUT) for _ in texts] == texts


class TestDataTypes:
    @pytest.mark.parametrize(
        "size", [1, 10, 50, 100, 125, 126, 500, 1000, 10_000, 65_535, 65_536, 100_000, 1_000_000]
    )
    def test_every_size_of_frame(self, client, source, size):
        connection = client("/echo", compression=None)
        for message in (random_text(source, size), source.randbytes(size)):
            connection.send(message)
            assert connection.recv(TIMEOUT) == message

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "你好，世界！",
            "Привет, мир!",
            "مرحبا بالعالم",
            "😀🎉🚀👩‍👩‍👧‍👦",
            "".join(map(chr, range(32))) + "\x7f\x00end",
        ],
        ids=["empty", "chinese", "russian", "arabic", "emoji", "control"],
    )
    def test_every_text(self, client, text):
        connection = client("/echo")
        connection.send(text)
        assert connection.recv(TIMEOUT) == text
        connection.send(text.encode())
        assert connection.recv(TIMEOUT) == text.encode()
        jsons = client("/json_echo")
        jsons.send(json.dumps(text))
        assert jsons.recv(TIMEOUT) == '{"echo":' + json.dumps(text, ensure_ascii=False) + "}"


class TestPerformance:
    @pytest.mark.parametrize("kind", ["text", "binary", "json"])
    def test_ten_thousand_messages_arrive_whole_and_in_order(self, client, kind):
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        connection = client("/push")
        asked = json.dumps({"count": 10_000, "kind": kind, "seed": seed})
        connection.send(asked)
        source = random.Random(seed)
        size = 0
        for _ in range(10_000):
            expected, got = random_message(source, kind), connection.recv(TIMEOUT)
            assert (json.loads(got) if kind == "json" else got) == expected
            size += len(got if isinstance(got, bytes) else got.encode())
        assert json.loads(connection.recv(TIMEOUT)) == [10_000, size, 1, len(asked)]

    def test_a_hundred_round_trips(self, client):
        connection = client("/echo")
        for number in range(100):
            connection.send(f"round {number}")
            assert connection.recv(TIMEOUT) == f"round {number}"


class TestIntegration:
    """What the original project's own clients do."""

    def test_echo_of_a_hundred_random_messages(self, client, source):
        connection = client("/echo")
        for _ in range(100):
            message = random_message(source, source.choice(["text", "binary"]))
            connection.send(message)
            assert connection.recv(TIMEOUT) == message

    def test_client_id(self, client, source):
        name = f"client-{source.randrange(10**9)}"
        connection = client(f"/client_id/{name}")
        assert json.loads(connection.recv(TIMEOUT)) == {"message": "Connected", "client_id": name}
        connection.send('{"n": 1}')
        assert json.loads(connection.recv(TIMEOUT)) == {"echo": {"n": 1}, "from": name}
        connection.close(4001, "done")
        told = client.server.probe.expect("left", name)
        assert (told["code"], told["reason"]) == (4001, "done")

    def test_json_commands_and_a_counter(self, client, source):
        connection = client("/commands")
        counter = 0
        for _ in range(20):
            by = source.randint(1, 100)
            command = source.choice(["add", "subtract"])
            counter += by if command == "add" else -by
            connection.send(json.dumps({"command": command, "by": by}))
            assert json.loads(connection.recv(TIMEOUT)) == {"counter": counter}
        connection.send('{"command": "dance"}')
        assert json.loads(connection.recv(TIMEOUT)) == {"error": "unknown command: dance"}
        connection.send('{"command": "close"}')
        with pytest.raises(ConnectionClosedOK):
            connection.recv(TIMEOUT)
        assert (connection.close_code, connection.close_reason) == (1000, "as you wish")

    def test_binary_with_a_length_prefix(self, client, source):
        connection = client("/length_prefix")
        for size in (0, 1, 1000, 70_000):
            data = source.randbytes(size)
            connection.send(data)
            assert connection.recv(TIMEOUT) == struct.pack("!I", size) + data

    def test_chat_room(self, client):
        ann = client("/chat/ann")
        assert json.loads(ann.recv(TIMEOUT)) == {"joined": "ann", "members": 1}
        bob = client("/chat/bob")
        for each in (ann, bob):
            assert json.loads(each.recv(TIMEOUT)) == {"joined": "bob", "members": 2}
        for number in range(50):
            ann.send(f"grüße {number}")
        for each in (ann, bob):
            assert [each.recv(TIMEOUT) for _ in range(50)] == [f"ann: grüße {number}" for number in range(50)]
        ann.close()
        assert json.loads(bob.recv(TIMEOUT)) == {"left": "ann", "members": 1}
        bob.close()

    def test_who_has_left_the_room_hears_nothing_of_it(self, client):
        leaver = client("/leaving")
        assert leaver.recv(TIMEOUT) == "in the room"
        ann = client("/chat/ann")
        assert (
            json.loads(ann.recv(TIMEOUT))
            == json.loads(leaver.recv(TIMEOUT))
            == {"joined": "ann", "members": 2}
        )
        for text in ("out", "still out"):
            leaver.send(text)
            assert leaver.recv(TIMEOUT) == text
            ann.send("anybody?")
            assert ann.recv(TIMEOUT) == "ann: anybody?"
