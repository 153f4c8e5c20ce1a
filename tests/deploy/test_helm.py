"""The Helm chart, rendered by helm itself: valid to Kubernetes, and each role what the promises need it to be."""

import functools
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from receiver.cli import main
from receiver.core import settings
from receiver.web.server import FINISH_WITHIN_S
from tests.conftest import program
from tests.deploy import kubernetes_api

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "frontdesk"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
ROLES = ("receiver", "worker", "registrar", "console")

LEAST = (
    "publicUrl=https://hooks.example.com",
    "nexudus.username=api@example.com",
    "image.repository=registry.example/frontdesk",
)
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
    "networkPolicy.storeTo[0].ipBlock.cidr=10.1.0.0/16,networkPolicy.dnsPorts={53,5353}",
    "networkPolicy.ingressFrom[0].podSelector.matchLabels.app=gateway",
    "networkPolicy.metricsFrom[0].podSelector.matchLabels.app=prometheus",
    "networkPolicy.egress.receiver[0].ports[0].port=4318",
    "gateway.enabled=true,gateway.host=hooks.example.com,gateway.parents[0].name=public",
    "env[0].name=HTTPS_PROXY,env[0].value=http://proxy:3128,env[1].name=OTEL_RESOURCE_ATTRIBUTES,env[1].value=a=b",
    *(f"{role}.priorityClassName=urgent,{role}.podLabels.team=desk,{role}.podAnnotations.a=b" for role in ROLES),
)
TOKEN = (
    LEAST[0],
    LEAST[2],
    "runAsUser=null",
    "secrets.nexudusToken=true,secrets.webhookSecrets=false,registrar.enabled=false,console.enabled=false",
)
SLOW = "receiver.spool.size=1Gi,receiver.spool.storageClass=slow"
CASES = {"least": LEAST, "most": MOST, "token": TOKEN}

pytestmark = pytest.mark.needs("helm", "kubernetes-validate")


def helm(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run helm, away from anybody's cluster."""
    with tempfile.TemporaryDirectory() as home:  # it keeps a cache there
        return subprocess.run(
            [program("helm"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"HOME": home, **environ},
        )


def chosen(case: str) -> list[str]:
    """Return the values of a case as options."""
    return [part for value in CASES[case] for part in ("--set", value)]


@functools.cache
def rendered(case: str, release: str = "fd", *more: str) -> str:
    """Return what helm makes of the chart."""
    ran = helm("template", release, str(CHART), *chosen(case), *more)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


class OnceOnly(yaml.SafeLoader):
    """Reads YAML as Kubernetes does: a key that comes twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping."""
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(set(names)) == len(names), f"a key comes twice in {names}, {node.start_mark}"
        return super().construct_mapping(node, deep=deep)


def objects(case: str, kind: str, *more: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a kind, by name."""
    read = yaml.load_all(rendered(case, "fd", *more), OnceOnly)
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
    others = {"ScaledObject", "PodMonitor", "PrometheusRule", "HTTPRoute"}
    assert set(re.findall(r"find schema for kind (\w+)", told)) <= others
    kinds = [each["kind"] for each in yaml.safe_load_all(rendered(case)) if each]
    assert told.count(" passed ") + told.count("find schema") == len(kinds)


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_wrong(case: str) -> None:
    """`helm lint --strict`, which also holds the values against their schema."""
    ran = helm("lint", "--strict", str(CHART), *chosen(case))

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("value", "about"),
    [
        ("reciever.replicas=3", "reciever"),
        ("publicUrl=http://hooks.example.com", "/publicUrl"),
        ("publicUrl=", "publicUrl: say where"),
        ("receiver.replicas=0", "/receiver/replicas"),
        ("receiver.durability=sometimes", "/receiver/durability"),
        ("ingress.enabled=true", "ingress.host"),
        ("gateway.enabled=true", "gateway.parents: name the Gateway"),
        ("gateway.enabled=true,gateway.parents[0].name=public", "gateway.host"),
        ("image.repository=", "image.repository: name the image"),
        ("runAsUser=0", "/runAsUser"),
        ("worker.podLabels.app\\.kubernetes\\.io/name=mine", "'app.kubernetes.io/name'"),
        ("env[0].name=FRONTDESK_HOST,env[0].value=x", "/env/0/name"),
        ("worker.env[0].name=FRONTDESK_MAX_BODY,worker.env[0].value=x", "/worker/env/0/name"),
        ("env[0].name=A,env[0].value=x,worker.env[0].name=A,worker.env[0].value=y", "worker.env: A stands in env too"),
        ("metricsMatchers=frontdesk", "/metricsMatchers"),
        ("secrets.adminToken=false", "the console requires"),
    ],
)
def test_wrong_values_are_refused(value: str, about: str) -> None:
    """With the value's name."""
    ran = helm("template", "fd", str(CHART), *(part for each in (*LEAST, value) for part in ("--set", each)))

    assert ran.returncode != 0
    assert about in ran.stderr


def test_a_setting_that_has_its_own_value_is_refused() -> None:
    """What the chart sets by itself for any role, what the image sets, and secrets: no name is to come twice."""
    own = {name for case in CASES for _, pod in pods(case) for name in environ(pod, Path())}
    own = {name for name in own if name.startswith("FRONTDESK_")} - {"FRONTDESK_RETENTION"}  # which MOST has from there
    image = set(re.findall(r"FRONTDESK_[A-Z_]+", (DEPLOY / "Dockerfile").read_text()))
    ports = {"FRONTDESK_PORT", "FRONTDESK_CONSOLE_PORT"}
    secret = {f"FRONTDESK_{name.upper()}" for name in settings.SECRETS}
    assert len(own) > 10
    for name in sorted(own | image | ports | secret):
        ran = helm("template", "fd", str(CHART), *chosen("least"), "--set", f"settings.{name}=x")
        assert (ran.returncode, f"'{name}'" in ran.stderr) == (1, True), name


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
        users = {pod["securityContext"].get(name) for name in ("runAsUser", "runAsGroup", "fsGroup")}
        assert users == ({None} if case == "token" else {10001})
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


def test_another_size_of_the_disk_stops_no_upgrade(tmp_path: Path) -> None:
    """Kubernetes refuses a set whose claims change: what it was made with stays, and the notes say how to go on."""
    known = [each for each in yaml.safe_load_all(rendered("least")) if each]
    (there,) = objects("least", "StatefulSet", "--set", SLOW).values()
    there["metadata"]["annotations"] = {
        "meta.helm.sh/release-name": "fd",
        "meta.helm.sh/release-namespace": "default",
    }
    wanted = ("--set", "receiver.spool.size=5Gi")
    (first,) = objects("least", "StatefulSet", *wanted).values()
    assert first["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert "Kubernetes does not let" not in notes("least", *wanted)

    with kubernetes_api.serving(tmp_path, known, [there]) as config:
        ran = helm(
            *("install", "fd", str(CHART), *chosen("least"), *wanted, "--dry-run=server"),
            "--disable-openapi-validation",
            KUBECONFIG=str(config),
        )

    told = ran.stdout + ran.stderr
    assert re.search(r"storage: 1Gi", told), told
    assert "storageClassName: slow" in told
    assert "5Gi" not in told.partition("NOTES:")[0]
    assert "the set was made with 1Gi of class slow" in told
    assert '"storage": "5Gi"' in told


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
    """One path, by an Ingress and by the Gateway API; the console has none."""
    (ingress,) = objects("most", "Ingress").values()
    paths = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
    assert [(path["path"], path["pathType"]) for path in paths] == [("/hooks/", "Prefix")]
    assert ingress["spec"]["tls"] == [{"hosts": ["hooks.example.com"], "secretName": "frontdesk-tls"}]
    (route,) = objects("most", "HTTPRoute").values()
    assert route["spec"] == {
        "parentRefs": [{"name": "public"}],
        "hostnames": ["hooks.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/hooks/"}}],
                "backendRefs": [{"name": "fd-frontdesk-receiver", "port": 80}],
            }
        ],
    }
    assert objects("most", "Service")["fd-frontdesk-receiver"]["spec"]["ports"][0]["port"] == 80
    services = {service["spec"].get("type", "ClusterIP") for service in objects("most", "Service").values()}
    assert services == {"ClusterIP"}
    for service in objects("most", "Service").values():
        assert service["spec"]["selector"]["app.kubernetes.io/component"] in ("receiver", "console")


def test_who_may_talk_to_whom() -> None:
    """No controller is assumed: until somebody is named, anybody reaches the receivers, and nobody anything else."""
    policies = objects("least", "NetworkPolicy")
    assert set(policies) == {f"fd-frontdesk-{role}" for role in (*ROLES, "drain")}
    for name, policy in policies.items():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        is_receiver = name.endswith("receiver")
        assert policy["spec"]["ingress"] == ([{"ports": [{"port": "http"}]}] if is_receiver else [])
        dns, store, *more = policy["spec"]["egress"]
        assert dns == {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
        assert store == {"ports": [{"port": 6379}]}
        role = name.removeprefix("fd-frontdesk-")
        assert more == {"worker": [{}], "registrar": [{"ports": [{"port": 443}]}]}.get(role, [])
    assert "every pod of the cluster may reach the receivers" in notes("least").lower()

    policies = objects("most", "NetworkPolicy")
    (rule,) = policies["fd-frontdesk-receiver"]["spec"]["ingress"]
    assert [peer["podSelector"]["matchLabels"]["app"] for peer in rule["from"]] == ["gateway", "prometheus"]
    ports = {
        name.removeprefix("fd-frontdesk-"): [
            port["port"] for out in policy["spec"]["egress"] for port in out.get("ports", [])
        ]
        for name, policy in policies.items()
    }
    always = [53, 53, 5353, 5353, 6379, 26379]
    assert ports == {
        "receiver": [*always, 4318],
        "worker": always,
        "registrar": [*always, 25, 465, 587, 443],
        "console": [*always, 443],
        "drain": always,
    }
    assert "every pod of the cluster" not in notes("most").lower()


def notes(case: str, *more: str) -> str:
    """Return what helm tells whoever installs it."""
    ran = helm("install", "fd", str(CHART), *chosen(case), *more, "--dry-run=client")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.partition("NOTES:")[2]


def test_every_role_is_looked_after() -> None:
    """Each has probes that its own process answers: by its port, or by the file that its loop touches."""
    seen = {role: pod["containers"][0] for role, pod in pods("most")}
    for role in ROLES:
        asked = [seen[role][f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")]
        if role in ("receiver", "console"):
            assert {probe["httpGet"]["port"] for probe in asked} == {"http"}, role
            continue
        file = {"worker": "work.alive", "registrar": "watch.alive"}[role]
        assert seen[role]["args"][0] == file.removesuffix(".alive")
        assert {"name": "data", "mountPath": "/var/lib/frontdesk"} in seen[role]["volumeMounts"]
        shell, flag, script = asked[0]["exec"]["command"]
        assert (shell, flag) == ("/bin/sh", "-c")
        assert f"find /var/lib/frontdesk/{file} -mmin " in script
        assert all(probe["exec"]["command"][-1] == script for probe in asked)


def test_nodes_and_zones_may_go() -> None:
    """No role is on one of them only, none is drained at once, and each may be told apart and put first."""
    for role, pod in pods("most"):
        keys = [each["topologyKey"] for each in pod["topologySpreadConstraints"]]
        assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert pod.get("priorityClassName") == "urgent", role
    budgets = objects("most", "PodDisruptionBudget")
    assert set(budgets) == {f"fd-frontdesk-{role}" for role in ("receiver", "worker", "registrar")}
    assert set(objects("token", "PodDisruptionBudget")) == {"fd-frontdesk-receiver", "fd-frontdesk-worker"}
    owners = {**objects("most", "StatefulSet"), **objects("most", "Deployment")}
    for name, budget in budgets.items():
        assert budget["spec"]["selector"] == owners[name]["spec"]["selector"]
    for owner in owners.values():
        about = owner["spec"]["template"]["metadata"]
        assert (about["labels"]["team"], about["annotations"]) == ("desk", {"a": "b"})
        assert "team" not in owner["spec"]["selector"]["matchLabels"]


def test_variables_of_others_reach_every_role() -> None:
    """Proxies, certificates, what OpenTelemetry reads."""
    for role, pod in pods("most"):
        told = environ(pod, Path())
        assert (told["HTTPS_PROXY"], told["OTEL_RESOURCE_ATTRIBUTES"]) == ("http://proxy:3128", "a=b"), role
        names = [each["name"] for each in pod["containers"][0]["env"]]
        assert len(names) == len(set(names)), role


def test_a_drain_job_that_was_left_in_place_stops_no_upgrade() -> None:
    """Kubernetes refuses a Job that changes: so another image, or another setting, makes another Job."""
    (before,) = objects("most", "Job")
    (same,) = objects("most", "Job", "--set", "worker.replicas=3")
    after = {
        name
        for more in ("image.digest=sha256:" + "b" * 64, "settings.FRONTDESK_RETENTION=15d")
        for name in objects("most", "Job", "--set", more)
    }

    assert before == same
    assert before not in after
    assert len(after) == 2
    long = f"data-{'a' * 40}-receiver-12"
    two = objects("most", "Job", "--set", f"drain.claims={{{long},{long}3}}")
    assert len(two) == 2
    assert all(len(name) <= 63 for name in two)


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
    assert all('{namespace="default",release="fd"}' in each["query"] for _, each in told)
    assert objects("least", "Deployment")["fd-frontdesk-registrar"]["spec"]["replicas"] == 2


OURS = 'namespace="default",release="fd"'


def without(expression: str) -> str:
    """Return an expression without the labels of the release, each of whose metrics must have had them."""
    assert len(re.findall(r"\bfrontdesk_[a-z_]+", expression)) == expression.count(OURS) >= 1, expression
    return expression.replace(f"{{{OURS}}}", "").replace(f"{OURS},", "")


def test_rules_and_dashboard_are_the_ones_that_are_shipped() -> None:
    """Whole, but that each metric is this release's; what looks like a template in them is left alone."""
    (rule,) = objects("most", "PrometheusRule").values()
    shipped = yaml.safe_load((DEPLOY / "prometheus" / "frontdesk.rules.yml").read_text())
    for group in rule["spec"]["groups"]:
        for each in group["rules"]:
            each["expr"] = without(each["expr"])
            assert (each["labels"].pop("namespace"), each["labels"].pop("release")) == ("default", "fd")
    assert rule["spec"] == shipped

    board = json.loads(objects("most", "ConfigMap")["fd-frontdesk-dashboard"]["data"]["frontdesk.json"])
    drawn = json.loads((DEPLOY / "grafana" / "frontdesk.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            target["expr"] = without(target["expr"])
    assert (board.pop("title"), drawn.pop("title")) == ("Frontdesk: fd in default", "Frontdesk")
    assert re.fullmatch(r"frontdesk-[0-9a-f]{12}", board.pop("uid"))
    assert drawn.pop("uid") == "frontdesk"
    assert board == drawn


def test_what_scrapes_gives_the_labels_that_are_asked_for() -> None:
    """The PodMonitor sets the release (the operator the namespace); other scrapers are named by what they set."""
    (monitor,) = objects("most", "PodMonitor").values()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "release", "replacement": "fd"}]
    (rule,) = objects("most", "PrometheusRule", "--set", 'metricsMatchers=job="desk$1"').values()
    first = rule["spec"]["groups"][0]["rules"][0]["expr"]
    assert first == 'absent(frontdesk_build_info{job="desk$1"})'


@pytest.mark.needs("promtool")
def test_prometheus_takes_the_rules_and_the_dashboard(tmp_path: Path) -> None:
    """With the labels of the release in them."""
    (rule,) = objects("most", "PrometheusRule").values()
    board = json.loads(objects("most", "ConfigMap")["fd-frontdesk-dashboard"]["data"]["frontdesk.json"])
    drawn = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    (scaled,) = objects("most", "ScaledObject").values()
    asked = [*drawn, *(trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"])]
    recorded = [
        {"record": f"drawn:{n}", "expr": expr.replace("$__rate_interval", "5m")} for n, expr in enumerate(asked)
    ]
    rule["spec"]["groups"].append({"name": "drawn", "rules": recorded})
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rule["spec"]))

    ran = subprocess.run(
        [program("promtool"), "check", "rules", tmp_path / "rules.yml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(recorded) > 30


def test_two_releases_live_in_one_namespace() -> None:
    """Their names and selectors differ; a release called frontdesk is not called frontdesk twice."""
    names = set(re.findall(r"^  name: (\S+)$", rendered("least"), re.MULTILINE))
    others = set(re.findall(r"^  name: (\S+)$", rendered("least", "frontdesk"), re.MULTILINE))

    assert names & others == set()
    assert "frontdesk-receiver" in others
