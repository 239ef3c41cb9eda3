"""Profiles itself with pyroscope-io: nearly all of its time is spent in one function."""

import os
import time

import pyroscope


def sum_of_squares(limit):
    total = 0
    for number in range(limit):
        total += number * number
    return total


def square_numbers_until(deadline):
    while time.monotonic() < deadline:
        sum_of_squares(10_000)


pyroscope.configure(
    application_name=os.environ["PYROSCOPE_APPLICATION_NAME"],
    server_address=os.environ["PYROSCOPE_SERVER_ADDRESS"],
    tags={"region": "eu-north"},
    upload_interval=2,
    mem_enabled=True,
    enable_logging=True,
)
with pyroscope.tag_wrapper({"phase": "square"}):
    square_numbers_until(time.monotonic() + 3)
pyroscope.shutdown()
