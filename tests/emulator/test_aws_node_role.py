"""What a node may do, enforced: its own policy, a role that takes it on, and real calls.

The emulator holds a call against the policies of whoever signed it. It knows the resource of a call only for S3, and
no condition's value: statements with a condition are left out here, and elsewhere than S3 a resource is "any".
`tests/unit/aws/test_iam.py` looks at resources and conditions in the policy itself.
"""

import json
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from components.aws.iam import NodeAccess, node_policy, trust_policy
from tests.emulator.conftest import Clients, enforce

ACCOUNT = "123456789012"
BUCKET, FOREIGN = "speech-objects-0123456", "payroll"
ACCESS = NodeAccess(
    region="us-west-2",
    fleet="indextts2-dev-us-west-2",
    bucket_arn=f"arn:aws:s3:::{BUCKET}",
    queue_arn=f"arn:aws:sqs:us-west-2:{ACCOUNT}:speech-jobs",
    dead_letter_arn=f"arn:aws:sqs:us-west-2:{ACCOUNT}:speech-dead-jobs",
    topic_arn=f"arn:aws:sns:us-west-2:{ACCOUNT}:speech-finished",
    keys_arn=f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:speech-api-keys-AbCdEf",
    log_group_arn=f"arn:aws:logs:us-west-2:{ACCOUNT}:log-group:speech-nodes",
    repository_arns=(f"arn:aws:ecr:us-west-2:{ACCOUNT}:repository/speech-server",),
    weights="indextts-2.5",
    may_fill=True,
)
QUEUE = f"https://sqs.us-west-2.amazonaws.com/{ACCOUNT}/speech-jobs"

ALLOWED: dict[str, tuple[str, Callable]] = {
    "read a voice": ("s3", lambda s3: s3.get_object(Bucket=BUCKET, Key="voices/a/sample.wav")),
    "read weights": ("s3", lambda s3: s3.get_object(Bucket=BUCKET, Key="weights/indextts-2.5/gpt.pth")),
    "fill weights": ("s3", lambda s3: s3.put_object(Bucket=BUCKET, Key="weights/indextts-2.5/s2mel.pth", Body=b"")),
    "write a result": ("s3", lambda s3: s3.put_object(Bucket=BUCKET, Key="results/2026/01/02/j.wav", Body=b"")),
    "write a log": ("s3", lambda s3: s3.put_object(Bucket=BUCKET, Key="logs/2026/01/02/03/n.jsonl.gz", Body=b"")),
    "delete a voice": ("s3", lambda s3: s3.delete_object(Bucket=BUCKET, Key="voices/a/sample.wav")),
    "take a job": ("sqs", lambda sqs: sqs.receive_message(QueueUrl=QUEUE, WaitTimeSeconds=0)),
    "tell of a result": ("sns", lambda sns: sns.publish(TopicArn=ACCESS.topic_arn, Message="done")),
    "read the keys": ("secretsmanager", lambda keys: keys.get_secret_value(SecretId="speech-api-keys")),
    "log in to the registry": ("ecr", lambda ecr: ecr.get_authorization_token()),
}
REFUSED: dict[str, tuple[str, Callable]] = {
    "read another bucket": ("s3", lambda s3: s3.get_object(Bucket=FOREIGN, Key="voices/a.wav")),
    "write to another bucket": ("s3", lambda s3: s3.put_object(Bucket=FOREIGN, Key="results/a.wav", Body=b"")),
    "write outside the folders": ("s3", lambda s3: s3.put_object(Bucket=BUCKET, Key="private/a.wav", Body=b"")),
    "read logs": ("s3", lambda s3: s3.get_object(Bucket=BUCKET, Key="logs/2026/n.jsonl.gz")),
    "read other weights": ("s3", lambda s3: s3.get_object(Bucket=BUCKET, Key="weights/indextts-2/gpt.pth")),
    "delete a result": ("s3", lambda s3: s3.delete_object(Bucket=BUCKET, Key="results/2026/01/02/j.wav")),
    "delete weights": ("s3", lambda s3: s3.delete_object(Bucket=BUCKET, Key="weights/indextts-2.5/gpt.pth")),
    "open the bucket": (
        "s3",
        lambda s3: s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": []})),
    ),
    "delete the bucket": ("s3", lambda s3: s3.delete_bucket(Bucket=BUCKET)),
    "list buckets": ("s3", lambda s3: s3.list_buckets()),
    "change keys": (
        "secretsmanager",
        lambda keys: keys.put_secret_value(SecretId="speech-api-keys", SecretString="{}"),
    ),
    "list secrets": ("secretsmanager", lambda keys: keys.list_secrets()),
    "empty the queue": ("sqs", lambda sqs: sqs.purge_queue(QueueUrl=QUEUE)),
    "delete the queue": ("sqs", lambda sqs: sqs.delete_queue(QueueUrl=QUEUE)),
    "subscribe": (
        "sns",
        lambda sns: sns.subscribe(TopicArn=ACCESS.topic_arn, Protocol="email", Endpoint="a@b.example"),
    ),
    "start an instance": ("ec2", lambda ec2: ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)),
    "grow the group": (
        "autoscaling",
        lambda group: group.set_desired_capacity(AutoScalingGroupName=ACCESS.fleet, DesiredCapacity=9),
    ),
    "read parameters": ("ssm", lambda ssm: ssm.get_parameter(Name="/payroll/password")),
    "make a user": ("iam", lambda iam: iam.create_user(UserName="mallory")),
    "push an image": ("ecr", lambda ecr: ecr.initiate_layer_upload(repositoryName="speech-server")),
}


@pytest.fixture
def node(clients: Clients, emulator: str) -> Callable:
    """`node("s3")`: a client that signs as a node does, in an account that has what the stack makes."""
    s3 = clients("s3")
    for bucket in (BUCKET, FOREIGN):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        for key in (
            "voices/a/sample.wav",
            "voices/a.wav",
            "weights/indextts-2.5/gpt.pth",
            "weights/indextts-2/gpt.pth",
            "logs/2026/n.jsonl.gz",
        ):
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
    clients("sqs").create_queue(QueueName="speech-jobs")
    clients("sns").create_topic(Name="speech-finished")
    clients("secretsmanager").create_secret(Name="speech-api-keys", SecretString="{}")
    clients("ecr").create_repository(repositoryName="speech-server")
    iam = clients("iam")
    role = iam.create_role(RoleName="node", AssumeRolePolicyDocument=json.dumps(trust_policy("ec2.amazonaws.com")))
    iam.put_role_policy(RoleName="node", PolicyName="node", PolicyDocument=json.dumps(enforceable()))
    session = clients("sts").assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="i-0123456789abcdef0")
    signs = session["Credentials"]
    enforce(emulator, True)
    return lambda service: clients(service, signs["AccessKeyId"], signs["SecretAccessKey"], signs["SessionToken"])


def enforceable() -> dict:
    """The node's policy as far as the emulator can hold a call against it."""
    policy = node_policy(ACCESS)
    statements = [
        statement if statement["Action"][0].startswith("s3:") else {**statement, "Resource": "*"}
        for statement in policy["Statement"]
        if "Condition" not in statement
    ]
    return {**policy, "Statement": statements}


class TestNodeRole:
    @pytest.mark.parametrize("what", ALLOWED)
    def test_it_may(self, node, what: str):
        service, call = ALLOWED[what]
        call(node(service))

    @pytest.mark.parametrize("what", REFUSED)
    def test_it_may_not(self, node, what: str):
        service, call = REFUSED[what]
        with pytest.raises(ClientError) as refused:
            call(node(service))
        answer = refused.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
        # And not because the caller's signature were wrong. Some protocols lose the code on their way.
        assert answer["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"), (
            answer
        )
