"""Messages of protobuf as nobody should send them: odd values, and damaged bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.support.mutations import mutated

_TEXTS = (
    "", "/", "\0", "a" * 100_000, "/fill/30/20/f=jpeg,g=smart,q=80/http://h/\u202e", "\ud7ff",
    "/fill/30/20//h", "/source/0/0//http://h/a", "/fill/0/-1/x=1/http://h/", "#", "../../../etc",
    "a\nb", "/fill/99999999999/20/q=80/http://h/", "origin_refused", "\u0665",
)  # fmt: skip
_BYTES = (b"", b"\0", b"\xff" * 1000)
_NUMBERS = (0.0, -1.0, 1e308, float("nan"), float("inf"), float("-inf"), 1e-308)
_INTEGERS = (0, 1, 2**31 - 1, 2**32 - 1)
_ODD = {
    FieldDescriptor.CPPTYPE_STRING: _TEXTS,
    FieldDescriptor.CPPTYPE_DOUBLE: _NUMBERS,
    FieldDescriptor.CPPTYPE_BOOL: (True, False),
    FieldDescriptor.CPPTYPE_UINT32: _INTEGERS,
    FieldDescriptor.CPPTYPE_UINT64: (*_INTEGERS, 2**64 - 1),
    FieldDescriptor.CPPTYPE_INT64: (*_INTEGERS, -1, 2**63 - 1, -(2**63)),
}


def bad_messages(good: Sequence[Message], count: int, seed: int = 1) -> Iterator[bytes]:
    """Give `count` messages, half of them of odd values, half damaged; the same in every run."""
    chance = random.Random(seed)
    whole = [message.SerializeToString() for message in good]
    for number in range(count):
        if number % 2:
            message = _copied(chance.choice(good))
            for _ in range(chance.choice((1, 1, 2, 4))):
                _make_odd(message, chance)
            yield message.SerializeToString()
        else:
            body = chance.choice(whole)
            for _ in range(chance.choice((1, 1, 2, 8))):
                body = mutated(body, chance, whole)
            yield body[: 1024 * 1024]


def _copied(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _make_odd(message: Message, chance: random.Random) -> None:
    """Change one field, or one of what lies in it."""
    if not message.DESCRIPTOR.fields:
        return
    field = cast("FieldDescriptor", chance.choice(message.DESCRIPTOR.fields))
    if chance.random() < 0.2:
        message.ClearField(field.name)
    elif field.is_repeated:
        _fill(getattr(message, field.name), field, chance)
    elif field.message_type is not None:
        _make_odd(getattr(message, field.name), chance)
    else:
        setattr(message, field.name, _value(field, chance))


def _fill(repeated: Any, field: FieldDescriptor, chance: random.Random) -> None:
    if field.message_type is None:
        repeated.extend([_value(field, chance) for _ in range(chance.choice((1, 3, 50)))])
    elif field.message_type.GetOptions().map_entry:
        repeated[chance.choice(_TEXTS)] = chance.choice(_TEXTS)
    else:
        _make_odd(repeated.add(), chance)


def _value(field: FieldDescriptor, chance: random.Random) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return chance.choice(_BYTES)
    return chance.choice(_ODD[field.cpp_type])
