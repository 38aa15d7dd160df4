"""boto3: objects of S3 put, listed and got, and a message queue, over HTTP and HTTPS.

Usage: boto3_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import sys

import boto3
from botocore.config import Config

TIMEOUT = 60
BODY = bytes(range(256)) * 100


def session(url: str, ca_file: str, bucket: str) -> None:
    config = Config(
        connect_timeout=TIMEOUT,
        read_timeout=TIMEOUT,
        max_pool_connections=2,
        retries={"max_attempts": 0},
        s3={"addressing_style": "path"},
    )
    options = {
        "endpoint_url": url,
        "verify": ca_file,
        "config": config,
        "region_name": "us-east-1",
        "aws_access_key_id": "meter",
        "aws_secret_access_key": "open sesame",
    }
    s3 = boto3.client("s3", **options)
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="reading", Body=BODY)
    assert [item["Size"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [len(BODY)]
    assert s3.get_object(Bucket=bucket, Key="reading")["Body"].read() == BODY
    s3.close()


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1:5]
    session(f"http://{host}:{port}", ca_file, "plain")
    print("S3 over HTTP")
    session(f"https://{host}:{tls_port}", ca_file, "secure")
    print("S3 over HTTPS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
