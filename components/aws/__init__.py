"""AWS as a target: GPU instances behind an Application Load Balancer."""

from components.aws.checks import check
from components.aws.fleet import GpuFleet
from components.aws.image import ServerImage
from components.aws.load_balancer import LoadBalancer
from components.aws.monitoring import Monitoring
from components.aws.network import Network
from components.aws.price import bill
from components.aws.provider import providers
from components.aws.queue import JobQueue
from components.aws.secrets import ApiKeys
from components.aws.storage import ObjectStore
from components.aws.survey import survey
from components.contracts import Parts

PARTS = Parts(
    check=check,
    providers=providers,
    survey=survey,
    bill=bill,
    network=Network,
    store=ObjectStore,
    queue=JobQueue,
    keys=ApiKeys,
    image=ServerImage,
    fleet=GpuFleet,
    load_balancer=LoadBalancer,
    monitoring=Monitoring,
)
