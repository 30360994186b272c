"""JPEG files that neither Pillow nor simplejpeg writes."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from tests.support.pictures import encode


def _file(*lines: str) -> bytes:
    return base64.b64decode("".join(lines))


# Made by libjpeg-turbo's cjpeg from `quadrants`: 32 x 32 with `-arithmetic` and
# `-arithmetic -progressive`; 48 x 64 with `-optimize -sample 4x2` and `-optimize -sample 3x1`.
ARITHMETIC = _file(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIs",
    "IxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy",
    "MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/yQARCAAgACADASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIR",
    "AxEAPwD/AGctk4vRonB5fKpFqktFb0ZFirHGpf/Z",
)
ARITHMETIC_PROGRESSIVE = _file(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIs",
    "IxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy",
    "MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/ygARCAAgACADASIAAhEBAxEB/8wABgAQARD/2gAMAwEAAhADEAAA",
    "Af7QDx44xoS7usnr0yRYA9sDBJf/zAAEEAX/2gAIAQEAAQUCsP/MAAQRBf/aAAgBAwEBPwHA/8wABBEF/9oACAEC",
    "AQE/AcD/zAAEEAX/2gAIAQEABj8CsP/MAAQQBf/aAAgBAQABPyGw/9oADAMBAAIAAwAAABBRf7z/zAAEEQX/2gAI",
    "AQMBAT8QwP/MAAQRBf/aAAgBAgEBPxDA/8wABBAF/9oACAEBAAE/ELD/2Q==",
)
SAMPLED_4_1_0 = _file(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIs",
    "IxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy",
    "MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/wAARCABAADADAUIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAA",
    "AAYH/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/EABcBAAMBAAAAAAAAAAAAAAAAAAMFBwb/xAAgEQABAgUFAAAAAAAA",
    "AAAAAAAAAgMBBjWCsgQxM4Gx/9oADAMBAAIRAxEAPwCXBSJsFISr2NRNFJdtygAAAEkRNgpE2CkGXsV2aKS7blAA",
    "AAJIiJBv7AAb+3s3UZ63JJrNFzp78AAAig+MABv7AAb+tc3UZ63JIh0XOnvwAACKD4//2Q==",
)
SAMPLED_3_1 = _file(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIs",
    "IxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy",
    "MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/wAARCABAADADATEAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAA",
    "AAYH/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/EABgBAAMBAQAAAAAAAAAAAAAAAAQGBwgF/8QAFBEBAAAAAAAAAAAA",
    "AAAAAAAAAP/aAAwDAQACEQMRAD8AlwcdR1IAdA02AhfFIAdA02AhfFIAdA02AhfFIAdA0SCwmJv4M4GhgANHldv4",
    "M4GhgANHldv4M4GhgANHldv4M4Gh/9k=",
)

# A part of one of Debian's mate-backgrounds, 48 x 40, by cjpeg with `-sample 1x2 -scans`
# and the script of mozjpeg: luma 1-8 and 9-63 at Al=2, then refined twice; chroma 1-8, then 9-63.
MOZJPEG_SCRIPT = _file(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERX",
    "RTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/2wBDARESEhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj",
    "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2P/wgARCAAoADADARIAAhEBAxEB/8QAGgAAAgMBAQAAAAAAAAAAAAAA",
    "AAQCAwUGB//EABoBAAIDAQEAAAAAAAAAAAAAAAMEAAIFAQb/2gAMAwEAAhADEAAAANQ89qjUHFhfpz73WVzL0Ruv",
    "YxSNUV7k3kZWoo5rcvGpqNU9BEc+ITP5oPTMCygtoOgw/wD/xAAeEAACAgIDAQEAAAAAAAAAAAAAAQIRAxIhMUET",
    "I//aAAgBAQABCAKhI0NUZaTGJiGz9PqlLW3zfhFikZM096W7lJMeSI+WRxuRrr3OdEulZK/MUuaMzGxu2IR//8QA",
    "HREAAwACAgMAAAAAAAAAAAAAAAECAxEhMQQSE//aAAgBAgEBCACKtcmTPQst0ydqdiyyly2h6PlNck4oS0vSXuZX",
    "iyiZXSfRi6EIopaP/8QAHxEBAAICAgIDAAAAAAAAAAAAAQIDAAQREiExEBNR/9oACAEDAQEIAJwg+MKYRwPz6uxz",
    "ktZVyNNkzkSeF04+Mq2ZSSMe9Y9bCqJ7tua/eyAEiT86lqc5Zt22Iv8A/8QAHBAAAQQDAQAAAAAAAAAAAAAAAQAg",
    "ITAxMkFh/9oACAEBAAk/AqTPnWwAhhFuxp//xAAeEAEAAwEAAwADAAAAAAAAAAABABEhMUFRYRCRof/aAAgBAQAB",
    "PyHBkt7AQgqBBBZ1MMQfsXNhusEUp6P8irAd9tSj8d7Sj9wXAP1L9+I8+x6PmciWVdSqpsper0fhOQDbfYZZ5l5n",
    "YxES5S7eyrnRn//EAB4QAQACAwEAAwEAAAAAAAAAAAEAESExUUFhcbHR/9oACAEBAAE/EK2iLvhW6hcICwnRmIlk",
    "JKYdmUMoGHQfmGFFpuTWOMxYIxRgtBWlBbQDqxyWwaplv6BVW/aZdki6VnH8lKimlt0/I7IvS3cdzAPWKepKLWPO",
    "x4yDw8gOwRb2whcF6Rk1eJUqwauWjED1CVmPWDKaJrk//8QAGBEBAQADAAAAAAAAAAAAAAAAAQAQIDD/2gAIAQIB",
    "CT8Ayk6ETw//xAAdEQACAgEFAAAAAAAAAAAAAAAAAQIQMREgIVGR/9oACAEDAQk/AKQ6Vx1Zw31UfNqwPB//2Q==",
)


def ycck(image: Image.Image, quality: int = 95) -> bytes:
    """Give an RGB image as YCCK: YCbCr of the light and, inverted as Adobe does, no black."""
    ycc = np.asarray(Image.fromarray(np.asarray(image)).convert("YCbCr"))
    # libjpeg takes YCbCr for the inks' complement, so the light's complement is what is coded.
    luma, chroma = 255 - ycc[..., :1], 255 - ycc[..., 1:]
    black = np.full_like(luma, 255)
    stored = np.concatenate([luma, chroma, black], axis=2)
    data = encode(Image.fromarray(255 - stored, "CMYK"), "JPEG", quality=quality)
    return with_transform(data, 2)


def with_transform(data: bytes, transform: int) -> bytes:
    """Give a file that has Adobe's marker with another colour transform in it."""
    place = data.index(b"Adobe") + 11
    return data[:place] + bytes([transform]) + data[place + 1 :]


def with_adobe(data: bytes, transform: int) -> bytes:
    """Give a file with JFIF's marker replaced by Adobe's."""
    length = 4 + int.from_bytes(data[4:6], "big") - 2
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    return data[:2] + marker + data[2 + length :]


def with_restarts(image: Image.Image) -> bytes:
    """Give a baseline file with a restart marker after every row of blocks."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85, restart_marker_rows=1)
    return file.getvalue()
