"""A node's coming and going: it says when it is ready, finishes what it speaks before it goes, and gives way to a node
of a newer launch template."""

import json
import os
import pathlib
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request

from . import cloud, rolling
from .group import Group


def main():
    """Runs until the instance has said that it may go."""
    poll = float(os.environ["POLL_SECONDS"])
    node = None
    while node is None or not node.gone:
        try:
            node = node or Node(os.environ, Group(own_id()))
            node.look()
        except (cloud.CloudError, OSError, LookupError, ValueError) as error:
            # A service that is away, or rights that are not there yet: the next look may find them.
            _say(str(error) if isinstance(error, cloud.CloudError) else type(error).__name__)
        time.sleep(poll)


def own_id():
    """The instance's id. Raises LookupError where the metadata service does not know it yet."""
    found = cloud.metadata("instance-id")
    if not found:
        raise LookupError
    return found


class Node:
    """This instance in its group."""

    def __init__(self, environment, group):
        self.group = group
        self.group_every = float(environment["GROUP_SECONDS"])
        self.spot_grace = float(environment["SPOT_GRACE_SECONDS"])
        self.spot_work = environment["SPOT_WORK_SECONDS"]
        self.port = environment["SERVER_PORT"]
        # Not in the process: a restart of it must not ask for one more instance again.
        self.asked = pathlib.Path(environment["RUN_DIR"]) / "asked-for-one-more.json"
        self.outdated = pathlib.Path(environment["RUN_DIR"]) / "outdated"
        self.next_look = 0.0
        self.noticed = None
        self.drained = False
        self.gone = False

    def look(self):
        """Once: the metadata service each time, the group less often, for its calls are counted."""
        now = time.monotonic()
        if cloud.metadata("instance/spot/termination-time"):
            # Five minutes are left. The group is told as well and takes the instance out of the load balancer first,
            # which loses no request; it is given a moment for it.
            self.noticed = self.noticed or now
            if now - self.noticed >= self.spot_grace:
                self.drain("a spot notice", self.spot_work)
        if now >= self.next_look:
            # Spread, so that a fleet does not ask as one.
            self.next_look = now + self.group_every * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
            self.ask_the_group()

    def ask_the_group(self):
        members = self.group.members()
        mine = [one for one in members or [] if one["InstanceId"] == self.group.instance]
        if not mine:
            return
        state = mine[0]["LifecycleState"]
        if state.startswith("Pending"):
            if self.ready() and self.group.proceed():
                _say("ready, and the group knows")
        elif state.startswith("Removing"):
            self.drain("the group lets this instance go")
            self.gone = self.group.proceed()
            if self.gone:
                _say("done")
        elif state == "InService" and not self.drained:
            self.give_way(members)

    def give_way(self, members):
        group = self.group.described()
        wanted = f"{group.get('LaunchTemplateId')}/{group.get('LaunchTemplateVersion')}"
        self.note_whether_outdated(self.group.instance in rolling.outdated(members, group))
        added, waited = self.asked_before(wanted)
        step = rolling.decide(self.group.instance, members, group, added, waited)
        if step == rolling.STAY:
            return
        _say(f"the launch template is {wanted} now: {step}")
        if step == rolling.ADD:
            self.add_one(wanted, sum(one["LifecycleState"] == "InService" for one in members))
        elif step == rolling.LEAVE:
            self.group.remove_me()
        else:
            self.group.replace_me()

    def add_one(self, wanted, serving):
        """Noted first: an answer that is lost must not start a second one."""
        self.asked.write_text(json.dumps({"for": wanted, "serving": serving, "at": time.time()}), encoding="utf-8")
        try:
            self.group.add_one()
        except cloud.CloudError as error:
            if error.refused:
                self.asked.unlink()
            raise

    def asked_before(self, wanted):
        """How many served when this node asked for one of template `wanted`, and seconds since then; None and 0."""
        try:
            asked = json.loads(self.asked.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None, 0.0
        return (asked["serving"], time.time() - asked["at"]) if asked["for"] == wanted else (None, 0.0)

    def note_whether_outdated(self, outdated):
        """For the node's report: a roll that does not end is one that somebody must look at."""
        if outdated:
            self.outdated.touch()
        else:
            self.outdated.unlink(missing_ok=True)

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False

    def drain(self, why, within=None):
        """Returns when the server has finished or its time is up.

        `within`: seconds that are left, as text. The server then gives back at once what it will not finish.
        """
        if self.drained:
            return
        _say(f"{why}; the server finishes what it speaks")
        if within is not None:
            order = ["docker", "exec", "speech", "indextts2", "node", "drain", "--stay"]
            subprocess.run(["timeout", within, *order, "--within", within, "--reason", why], check=False)
        subprocess.run(["systemctl", "stop", "indextts2-server.service"], check=False)
        self.drained = True


def _say(text):
    sys.stderr.write(f"lifecycle: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
