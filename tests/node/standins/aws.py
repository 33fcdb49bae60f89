"""A stand-in for the AWS CLI on a machine of the tests: the SDK itself, against an emulator on the loopback.

It says that it is one. The names of services, operations and their parameters are the SDK's own data, so that what the
real CLI would not know is refused here as well; so is what the SDK finds wrong with a value. Credentials are those that
the SDK gets from the instance's metadata service.
"""

import base64
import json
import pathlib
import sys

import boto3
import botocore.exceptions
import jmespath
from botocore import xform_name

ENDPOINT = "http://127.0.0.1:5000"
# What the emulator does not have is written down: the call was checked against the SDK's data all the same.
WRITTEN_DOWN = {"complete_lifecycle_action"}
CALLS = pathlib.Path("/var/lib/stand-in-aws-calls.jsonl")
DENIED = pathlib.Path("/var/lib/stand-in-aws-denied")  # names of operations that the role may not call


def main(arguments):
    service, operation, *rest = arguments
    options = {}
    while rest:
        name, value, *rest = rest
        if not name.startswith("--"):
            sys.exit(f"aws (a stand-in): Unknown options: {name}")
        options[name[2:]] = value
    region, query, output = options.pop("region", None), options.pop("query", None), options.pop("output", "json")
    client = boto3.client(service, region_name=region, endpoint_url=ENDPOINT)
    password = (service, operation) == ("ecr", "get-login-password")
    method = "get_authorization_token" if password else operation.replace("-", "_")
    if method in (DENIED.read_text().split() if DENIED.exists() else ()):
        sys.exit(f"aws (a stand-in): An error occurred (AccessDeniedException) when calling {operation}")
    parameters = _parameters(client, method, options)
    try:
        if method in WRITTEN_DOWN:
            with CALLS.open("a") as file:
                file.write(json.dumps({"operation": method, **parameters}) + "\n")
            return
        answer = getattr(client, method)(**parameters)
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
        sys.exit(f"aws (a stand-in): {error}")
    if password:
        token = answer["authorizationData"][0]["authorizationToken"]
        print(base64.b64decode(token).decode().partition(":")[2])
        return
    answer.pop("ResponseMetadata", None)
    found = jmespath.search(query, answer) if query else answer
    print(found if output == "text" else json.dumps(found, default=str))


def _parameters(client, method, options):
    names = client.meta.method_to_api_mapping
    if method not in names:
        sys.exit(f"aws (a stand-in): Invalid choice: {method}")
    shape = client.meta.service_model.operation_model(names[method]).input_shape
    members = {xform_name(name, "-"): (name, member) for name, member in shape.members.items()}
    parameters = {}
    for option, value in options.items():
        if option not in members:
            sys.exit(f"aws (a stand-in): Unknown options: --{option}")
        name, member = members[option]
        parameters[name] = json.loads(value) if member.type_name in ("list", "structure", "map") else value
    missing = [name for name in shape.required_members if name not in parameters]
    if missing:
        sys.exit(f"aws (a stand-in): the following arguments are required: {', '.join(missing)}")
    return parameters


if __name__ == "__main__":
    main(sys.argv[1:])
