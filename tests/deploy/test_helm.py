"""The Helm chart, rendered by helm itself: valid to Kubernetes, and each role what the promises need it to be."""

import functools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from receiver.cli import main
from receiver.core import settings
from receiver.web.server import FINISH_WITHIN_S
from tests.conftest import program

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "frontdesk"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
ROLES = ("receiver", "worker", "registrar", "console")

LEAST = ("publicUrl=https://hooks.example.com", "nexudus.username=api@example.com")
MOST = (
    *LEAST,
    "image.digest=sha256:" + "a" * 64,
    "secrets.nexudusTotp=true,secrets.viewerToken=true,secrets.alertUrls=true,secrets.redisCA=true",
    "settings.FRONTDESK_RETENTION=14d",
    "receiver.processes=2,receiver.durability=replicated,receiver.trustedProxies={10.0.0.0/8,fd00::/8}",
    "receiver.autoscaling.enabled=true,receiver.spool.storageClass=fast",
    "drain.claims={data-fd-frontdesk-receiver-2}",
    "ingress.enabled=true,ingress.host=hooks.example.com,ingress.className=nginx",
    "worker.queues={doors,default},worker.keda.enabled=true,worker.keda.ready=1000000",
    "worker.env[0].name=CRM_SECRET,worker.env[0].valueFrom.secretKeyRef.name=crm",
    "worker.env[0].valueFrom.secretKeyRef.key=secret,worker.envFrom[0].secretRef.name=more",
    "worker.volumes[0].name=archive,worker.volumes[0].emptyDir.sizeLimit=1Gi",
    "worker.volumeMounts[0].name=archive,worker.volumeMounts[0].mountPath=/var/archive",
    "console.hooks=true,worker.nexudus=true,networkPolicy.storePorts={6379,26379},podMonitor.enabled=true",
    "prometheusRule.enabled=true,grafanaDashboard.enabled=true",
    "networkPolicy.consoleFrom[0].podSelector.matchLabels.app=sso",
    "networkPolicy.storeTo[0].ipBlock.cidr=10.1.0.0/16",
)
TOKEN = (
    LEAST[0],
    "secrets.nexudusToken=true,secrets.webhookSecrets=false,registrar.enabled=false,console.enabled=false",
)
CASES = {"least": LEAST, "most": MOST, "token": TOKEN}

pytestmark = pytest.mark.needs("helm", "kubernetes-validate")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm, away from anybody's cluster."""
    return subprocess.run(
        [program("helm"), *arguments], capture_output=True, text=True, check=False, timeout=60, env={"HOME": "/nowhere"}
    )


@functools.cache
def rendered(case: str, release: str = "fd") -> str:
    """Return what helm makes of the chart."""
    chosen = [part for value in CASES[case] for part in ("--set", value)]
    ran = helm("template", release, str(CHART), *chosen)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


class OnceOnly(yaml.SafeLoader):
    """Reads YAML as Kubernetes does: a key that comes twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping."""
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(set(names)) == len(names), f"a key comes twice in {names}, {node.start_mark}"
        return super().construct_mapping(node, deep=deep)


def objects(case: str, kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a kind, by name."""
    read = yaml.load_all(rendered(case), OnceOnly)
    found = [each for each in read if each and each["kind"] == kind]
    return {each["metadata"]["name"]: each for each in found}


def pods(case: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each role with its pod template."""
    for kind in ("StatefulSet", "Deployment", "Job"):
        for each in objects(case, kind).values():
            template = each["spec"]["template"]
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template["spec"]
    for each in objects(case, "Pod").values():
        yield "check", each["spec"]


def environ(pod: dict[str, Any], secrets: Path) -> dict[str, str]:
    """Return the environment of a pod's container, its secrets being below *secrets*."""
    found = {}
    for each in pod["containers"][0]["env"]:
        if "value" in each:
            found[each["name"]] = each["value"].replace("/run/secrets/frontdesk", str(secrets))
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", ["1.27", "1.31", "1.37"])
def test_kubernetes_would_take_it(case: str, version: str, tmp_path: Path) -> None:
    """By the API's own schemas, strictly; those of other people's objects are not among them."""
    file = tmp_path / "rendered.yaml"
    file.write_text(rendered(case))

    ran = subprocess.run(
        [program("kubernetes-validate"), "--strict", "-k", version, file],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    told = ran.stdout + ran.stderr
    assert ran.returncode == 0, told
    assert set(re.findall(r"find schema for kind (\w+)", told)) <= {"ScaledObject", "PodMonitor", "PrometheusRule"}
    kinds = [each["kind"] for each in yaml.safe_load_all(rendered(case)) if each]
    assert told.count(" passed ") + told.count("find schema") == len(kinds)


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_wrong(case: str) -> None:
    """`helm lint --strict`, which also holds the values against their schema."""
    chosen = [part for value in CASES[case] for part in ("--set", value)]

    ran = helm("lint", "--strict", str(CHART), *chosen)

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("value", "about"),
    [
        ("reciever.replicas=3", "reciever"),
        ("publicUrl=http://hooks.example.com", "/publicUrl"),
        ("publicUrl=", "publicUrl: say where"),
        ("receiver.replicas=0", "/receiver/replicas"),
        ("receiver.durability=sometimes", "/receiver/durability"),
        ("settings.FRONTDESK_URL_KEYS=abc", "'FRONTDESK_URL_KEYS'"),
        ("ingress.enabled=true", "ingress.host"),
        ("secrets.adminToken=false", "the console requires"),
    ],
)
def test_wrong_values_are_refused(value: str, about: str) -> None:
    """With the value's name."""
    ran = helm("template", "fd", str(CHART), *(part for each in (*LEAST, value) for part in ("--set", each)))

    assert ran.returncode != 0
    assert about in ran.stderr


def test_every_value_is_described() -> None:
    """The schema knows each of them and no other, and has a sentence for it."""

    def walk(value: object, schema: dict[str, Any], where: str) -> None:
        if "$ref" in schema:
            schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
        assert schema["description"].endswith("."), where
        if isinstance(value, dict) and "properties" in schema:
            assert set(schema["properties"]) - {"global"} == set(value), where
            for name, inner in value.items():
                walk(inner, schema["properties"][name], f"{where}.{name}")

    walk(VALUES, SCHEMA, "values")


@pytest.mark.parametrize("case", CASES)
def test_every_container_is_confined(case: str) -> None:
    """Nobody's user, a read-only root, no privileges, no token of the cluster, no variables of other Services."""
    roles = [role for role, _ in pods(case)]
    assert set(roles) >= {"receiver", "worker", "check"}
    for role, pod in pods(case):
        assert (pod["enableServiceLinks"], pod["automountServiceAccountToken"]) == (False, False), role
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"]
        assert container["resources"]["limits"]["memory"]


def test_each_role_has_only_its_own_secrets() -> None:
    """As files, and nothing secret in a variable."""
    nexudus = {"nexudus-password", "nexudus-totp"}
    expected = {
        "receiver": {"redis-url", "url-keys", "webhook-secrets"},
        "worker": {"redis-url", "alert-urls"} | nexudus,
        "registrar": {"redis-url", "url-keys", "webhook-secrets", "alert-urls"} | nexudus,
        "console": {"redis-url", "url-keys", "webhook-secrets", "admin-token", "viewer-token"} | nexudus,
        "drain": {"redis-url"},
        "check": {"redis-url", "alert-urls"} | nexudus,
    }
    for role, pod in pods("most"):
        (secret,) = (each["secret"] for each in pod["volumes"] if "secret" in each)
        assert {item["key"] for item in secret["items"]} == expected[role] | {"redis-ca.crt"}, role
        named = {each["name"] for each in pod["containers"][0]["env"] if each["name"].endswith("_FILE")}
        assert named == {f"FRONTDESK_{key.upper().replace('-', '_')}_FILE" for key in expected[role]}
    least = {role: json.dumps(pod) for role, pod in pods("least")}
    assert "url-keys" not in least["console"] + least["worker"]
    assert "nexudus" not in least["console"] + least["worker"] + least["receiver"]


@pytest.mark.parametrize("case", CASES)
def test_the_commands_and_settings_are_ours(case: str, tmp_path: Path) -> None:
    """Each is read by the command line and the settings as they are today."""
    for key in ("url-keys", "webhook-secrets", "nexudus-password", "nexudus-token", "nexudus-totp"):
        (tmp_path / key).write_text("x" * 32)
    for key in ("admin-token", "viewer-token", "alert-urls"):
        (tmp_path / key).write_text("x" * 32)
    (tmp_path / "redis-url").write_text("redis://:x@store:6379/0")
    for role, pod in pods(case):
        (container,) = pod["containers"]
        main.build().parse_args(container["args"], print_error=False, exit_on_error=False)
        read = settings.from_environ(environ(pod, tmp_path))
        assert read.redis_url, role
        if role == "receiver":
            read.need("url_keys")
        if role == "registrar":
            read.need("public_url", "url_keys", "nexudus_username", "nexudus_password")


def test_a_receiver_has_time_to_stop() -> None:
    """The hook, the delay, what was taken, its last writes: all before SIGKILL."""
    (pod,) = (pod for role, pod in pods("least") if role == "receiver")
    (container,) = pod["containers"]
    command = container["lifecycle"]["preStop"]["exec"]["command"]
    delay = settings.from_environ({"FRONTDESK_SHUTDOWN_DELAY": environ(pod, Path())["FRONTDESK_SHUTDOWN_DELAY"]})

    assert command == ["frontdesk", "drain", "--wait", "60s"]
    main.build().parse_args(command[1:], print_error=False, exit_on_error=False)
    assert pod["terminationGracePeriodSeconds"] >= 60 + delay.shutdown_delay / 1_000 + FINISH_WITHIN_S + 10
    # not ready within the time that it goes on taking what a balancer still sends
    probe = container["readinessProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert probe["periodSeconds"] * probe["failureThreshold"] < delay.shutdown_delay / 1_000
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_a_worker_has_time_to_stop() -> None:
    """What runs may finish."""
    (pod,) = (pod for role, pod in pods("most") if role == "worker")

    assert "--grace=25" in pod["containers"][0]["args"]
    assert pod["terminationGracePeriodSeconds"] == 40


@pytest.mark.parametrize("case", CASES)
def test_a_disk_that_may_hold_events_is_never_deleted(case: str) -> None:
    """Neither when the set shrinks nor when it goes; a Job drains what is named."""
    (receiver,) = objects(case, "StatefulSet").values()
    assert receiver["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = receiver["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    jobs = objects(case, "Job")
    assert len(jobs) == (case == "most")
    for job in jobs.values():
        pod = job["spec"]["template"]["spec"]
        data = next(each for each in pod["volumes"] if each["name"] == "data")
        assert data["persistentVolumeClaim"]["claimName"] == "data-fd-frontdesk-receiver-2"
        assert pod["containers"][0]["args"] == ["drain"]


@pytest.mark.parametrize("case", CASES)
def test_routes_can_be_edited(case: str) -> None:
    """The ConfigMap is mounted as a folder: a subPath would never change. And an edit restarts nobody."""
    assert objects(case, "ConfigMap")["fd-frontdesk-routes"]["data"]["routes.yaml"].startswith("businesses: all\n")
    for role, pod in pods(case):
        mounts = pod["containers"][0]["volumeMounts"]
        assert {"name": "routes", "mountPath": "/etc/frontdesk", "readOnly": True} in mounts, role
        assert all("subPath" not in mount for mount in mounts)
    assert "checksum" not in rendered(case)


def test_only_hooks_are_public() -> None:
    """One path, and nothing but the balancer and the scraper reaches the receivers' port."""
    (ingress,) = objects("most", "Ingress").values()
    paths = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
    assert [(path["path"], path["pathType"]) for path in paths] == [("/hooks/", "Prefix")]
    assert ingress["spec"]["tls"] == [{"hosts": ["hooks.example.com"], "secretName": "frontdesk-tls"}]
    policies = objects("least", "NetworkPolicy")
    assert set(policies) == {f"fd-frontdesk-{role}" for role in (*ROLES, "drain")}
    for name, policy in policies.items():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        peers = [peer for rule in policy["spec"]["ingress"] for peer in rule["from"]]
        assert len(peers) == (2 if name.endswith("receiver") else 0)
    services = {service["spec"].get("type", "ClusterIP") for service in objects("most", "Service").values()}
    assert services == {"ClusterIP"}
    for service in objects("most", "Service").values():
        assert service["spec"]["selector"]["app.kubernetes.io/component"] in ("receiver", "console")


def test_scaling() -> None:
    """Receivers by load, one at a time down; workers by what waits; neither fights a number of replicas."""
    (receiver,) = objects("most", "StatefulSet").values()
    (scaler,) = objects("most", "HorizontalPodAutoscaler").values()
    (scaled,) = objects("most", "ScaledObject").values()
    worker = objects("most", "Deployment")["fd-frontdesk-worker"]

    assert scaler["spec"]["scaleTargetRef"]["name"] == receiver["metadata"]["name"]
    assert scaler["spec"]["behavior"]["scaleDown"]["policies"][0]["value"] == 1
    assert "replicas" not in receiver["spec"] | worker["spec"]
    assert scaled["spec"]["scaleTargetRef"] == {"kind": "Deployment", "name": worker["metadata"]["name"]}
    told = [(each["type"], each["metadata"]) for each in scaled["spec"]["triggers"]]
    assert all(set(each) == {"serverAddress", "query", "threshold"} for _, each in told)
    assert [each["threshold"] for _, each in told] == ["1000000", "60"]
    assert ["frontdesk_queue_ready" in told[0][1]["query"], "frontdesk_queue_oldest" in told[1][1]["query"]] == [
        True
    ] * 2
    (budget,) = objects("most", "PodDisruptionBudget").values()
    assert budget["spec"]["selector"]["matchLabels"] == receiver["spec"]["selector"]["matchLabels"]
    assert objects("least", "Deployment")["fd-frontdesk-registrar"]["spec"]["replicas"] == 2


def test_rules_and_dashboard_are_the_ones_that_are_shipped() -> None:
    """Whole, with what looks like a template in them left alone; a chart that is packed has them too."""
    (rule,) = objects("most", "PrometheusRule").values()
    dashboard = objects("most", "ConfigMap")["fd-frontdesk-dashboard"]["data"]["frontdesk.json"]

    assert rule["spec"] == yaml.safe_load((DEPLOY / "prometheus" / "frontdesk.rules.yml").read_text())
    assert json.loads(dashboard) == json.loads((DEPLOY / "grafana" / "frontdesk.json").read_text())


def test_two_releases_live_in_one_namespace() -> None:
    """Their names and selectors differ; a release called frontdesk is not called frontdesk twice."""
    names = set(re.findall(r"^  name: (\S+)$", rendered("least"), re.MULTILINE))
    others = set(re.findall(r"^  name: (\S+)$", rendered("least", "frontdesk"), re.MULTILINE))

    assert names & others == set()
    assert "frontdesk-receiver" in others
