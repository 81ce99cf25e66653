package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// objects decodes every document of deploy/kubernetes into its type. A field
// that the type does not have is an error.
func objects(t *testing.T) (all []runtime.Object) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	names, err := filepath.Glob(filepath.Join(root, "deploy/kubernetes/*.yaml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		documents := yaml.NewYAMLReader(bufferedReader(text))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if len(bytes.TrimSpace(document)) == 0 {
				continue
			}
			object, _, err := decoder.Decode(document, nil, nil)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, document)
			}
			all = append(all, object)
		}
	}
	return all
}

func only[T runtime.Object](t *testing.T, all []runtime.Object) (found T) {
	t.Helper()
	n := 0
	for _, object := range all {
		if o, ok := object.(T); ok {
			found = o
			n++
		}
	}
	if n != 1 {
		t.Fatalf("%d objects of the type %T, want 1", n, found)
	}
	return found
}

func TestKubernetesObjectsFit(t *testing.T) {
	t.Parallel()
	all := objects(t)
	deployment := only[*appsv1.Deployment](t, all)
	pod := deployment.Spec.Template
	matches := func(selector *metav1.LabelSelector) bool {
		s, err := metav1.LabelSelectorAsSelector(selector)
		return err == nil && s.Matches(labels.Set(pod.Labels))
	}
	if !matches(deployment.Spec.Selector) || !matches(only[*policyv1.PodDisruptionBudget](t, all).Spec.Selector) {
		t.Error("a selector does not match the pods")
	}
	edge := pod.Spec.Containers[0]
	ports := make(map[string]corev1.ContainerPort)
	for _, port := range edge.Ports {
		ports[port.Name] = port
	}
	services := 0
	for _, object := range all {
		service, ok := object.(*corev1.Service)
		if !ok {
			continue
		}
		services++
		if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.Labels)) {
			t.Errorf("service %s selects no pod of ours", service.Name)
		}
		for _, port := range service.Spec.Ports {
			target, ok := ports[port.TargetPort.StrVal]
			protocol := func(p corev1.Protocol) corev1.Protocol {
				if p == "" {
					return corev1.ProtocolTCP
				}
				return p
			}
			if !ok || protocol(target.Protocol) != protocol(port.Protocol) {
				t.Errorf("service %s leads %d to %q, which the container has not", service.Name, port.Port, port.TargetPort.StrVal)
			}
		}
	}
	if services == 0 {
		t.Error("no service")
	}
	for name, probe := range map[string]*corev1.Probe{"startup": edge.StartupProbe, "liveness": edge.LivenessProbe, "readiness": edge.ReadinessProbe} {
		switch {
		case probe == nil:
			t.Errorf("no %s probe", name)
		case probe.HTTPGet != nil && ports[probe.HTTPGet.Port.StrVal].ContainerPort == 0:
			t.Errorf("the %s probe asks port %q", name, probe.HTTPGet.Port.String())
		}
	}
	if path := edge.ReadinessProbe.HTTPGet.Path; path != "/health/ready" {
		t.Errorf("readiness asks %s", path)
	}
	volumes := make(map[string]bool)
	for _, volume := range pod.Spec.Volumes {
		volumes[volume.Name] = true
		if source := volume.ConfigMap; source != nil && source.Name != only[*corev1.ConfigMap](t, all).Name {
			t.Errorf("there is no config map %s", source.Name)
		}
	}
	for _, mount := range edge.VolumeMounts {
		if !volumes[mount.Name] {
			t.Errorf("no volume %s", mount.Name)
		}
	}
	security, container := pod.Spec.SecurityContext, edge.SecurityContext
	if !*security.RunAsNonRoot || *security.RunAsUser == 0 || !*container.ReadOnlyRootFilesystem || *container.AllowPrivilegeEscalation ||
		len(container.Capabilities.Drop) != 1 || container.Capabilities.Drop[0] != "ALL" {
		t.Errorf("the pod may too much: %+v, %+v", security, container)
	}
	if deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntVal != 0 {
		t.Error("a rollout takes edges away before others are ready")
	}
}

// The Caddyfile of the config map and that of compose are taken by the edge itself.
func TestShippedCaddyfilesAreValid(t *testing.T) {
	t.Parallel()
	compose, err := os.ReadFile(filepath.Join(root, "deploy/compose/Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := selfSigned(t)
	for name, text := range map[string]string{
		"compose":    string(compose),
		"kubernetes": only[*corev1.ConfigMap](t, objects(t)).Data["Caddyfile"],
	} {
		text = string(bytes.ReplaceAll(bytes.ReplaceAll([]byte(text), []byte("/certificates/tls.crt"), []byte(certificate)), []byte("/certificates/tls.key"), []byte(key)))
		file := filepath.Join(t.TempDir(), "Caddyfile")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := command(t, "validate", "--config", file)
		cmd.Env = append(cmd.Env, "MANA_DOMAIN=example.com", "MANA_ENCRYPTION_KEY=an encryption key of more than thirty-two bytes",
			"MANA_CORE_SERVICE_KEY=a service key of more than thirty-two bytes", "DATABASE_URL=postgres://mana:x@pgbouncer:6432/mana",
			"DATABASE_DIRECT_URL=postgres://mana:x@postgres:5432/mana", "REDIS_URL=redis://redis:6379/0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
