"""The fast parts of serve against what they replace: eventlet's own unmasking, and plain reads of a socket."""

import socket

import pytest
from eventlet.websocket import RFC6455WebSocket
from hypothesis import given
from hypothesis import strategies as st

from chatsec import serve

original = RFC6455WebSocket._apply_mask  # before anything replaces it
masks = st.tuples(*[st.integers(0, 255)] * 4)


@given(data=st.binary(max_size=300), mask=masks, offset=st.integers(0, 9))
def test_unmasks_as_eventlet_does(data, mask, offset):
    assert serve.unmask(data, mask, len(data), offset) == original(data, mask, len(data), offset)
    assert serve.unmask(data, bytes(mask), offset=offset) == original(data, mask, offset=offset)


def test_unmasks_as_many_bytes_as_asked():
    assert serve.unmask(b"\1\2\3\4\5\6", (1, 2, 3, 4), 5) == b"\0\0\0\0\4"


@pytest.fixture
def pair():
    near, far = socket.socketpair()
    with near, far:
        yield serve._BufferedSocket(near), far


def test_buffered_reads_give_every_byte_once_in_order(pair):
    near, far = pair
    sent = bytes(range(256)) * 16
    far.sendall(sent)
    got, sizes = b"", [2, 2, 4, 1000, 1]
    while len(got) < len(sent):
        part = near.recv(sizes[0])
        assert 0 < len(part) <= sizes[0]
        got, sizes = got + part, [*sizes[1:], sizes[0]]
    assert got == sent


def test_a_buffered_read_returns_what_is_there_and_then_the_end(pair):
    near, far = pair
    far.sendall(b"abc")
    far.shutdown(socket.SHUT_WR)
    assert [near.recv(10), near.recv(10), near.recv(10)] == [b"abc", b"", b""]


def test_all_else_of_a_buffered_socket_is_the_sockets(pair):
    near, far = pair
    near.settimeout(5)
    near.sendall(b"hello")
    assert (near.gettimeout(), far.recv(10)) == (5, b"hello")
    with pytest.raises(AttributeError):
        near.no_such_method()
