package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// load reads a compose file as `docker compose` does: the schema, interpolation,
// what services, networks and volumes it names, and that they exist.
func load(t *testing.T, name string, env ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "deploy", name)}, cli.WithEnv(env), cli.WithName("test"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return project
}

// secrets are those of compose/env.example, each with a value.
func secrets(t *testing.T) (env []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/compose/env.example"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			if value == "" {
				value = "a-secret-of-" + strings.ToLower(name)
			}
			env = append(env, name+"="+value)
		}
	}
	return env
}

func TestComposeFilesLoad(t *testing.T) {
	t.Parallel()
	project := load(t, "compose.yaml", secrets(t)...)
	for _, name := range []string{"edge", "app", "postgres", "pgbouncer", "redis", "prometheus", "alertmanager", "grafana"} {
		if _, ok := project.Services[name]; !ok {
			t.Errorf("compose.yaml has no service %s", name)
		}
	}
	edge := project.Services["edge"]
	if got := *edge.Environment["DATABASE_URL"]; got != "postgres://mana:a-secret-of-mana_database_password@pgbouncer:6432/mana?sslmode=disable" {
		t.Errorf("DATABASE_URL is %s", got)
	}
	for name, service := range project.Services {
		for _, port := range service.Ports {
			if name != "edge" && port.HostIP != "127.0.0.1" {
				t.Errorf("%s is published on %q", name, port.HostIP)
			}
		}
		if name != "edge" && service.Image == "" {
			t.Errorf("%s has no image", name)
		}
		if strings.HasSuffix(service.Image, ":latest") || !strings.Contains(service.Image, ":") {
			t.Errorf("%s is of no fixed version: %s", name, service.Image)
		}
		wantFiles(t, name, service)
	}
	wantHardened(t, "edge", edge)
	wantHardened(t, "edge of the demo", load(t, "compose.demo.yaml").Services["edge"])
	wantFiles(t, "edge of the demo", load(t, "compose.demo.yaml").Services["edge"])
}

// A secret that is missing is named; nothing starts with an empty one.
func TestComposeRefusesMissingSecrets(t *testing.T) {
	t.Parallel()
	env := secrets(t)
	for i, missing := range env {
		name, _, _ := strings.Cut(missing, "=")
		options, err := cli.NewProjectOptions([]string{filepath.Join(root, "deploy/compose.yaml")}, cli.WithEnv(slices.Delete(slices.Clone(env), i, i+1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := options.LoadProject(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// wantFiles fails where a service mounts a file of the repository that is not there, or builds a stage that is not.
func wantFiles(t *testing.T, name string, service types.ServiceConfig) {
	t.Helper()
	for _, volume := range service.Volumes {
		if volume.Type == types.VolumeTypeBind {
			if _, err := os.Stat(volume.Source); err != nil {
				t.Errorf("%s mounts %v", name, err)
			}
			if !volume.ReadOnly {
				t.Errorf("%s may write to %s", name, volume.Source)
			}
		}
	}
	if service.Build != nil {
		if _, err := os.Stat(filepath.Join(service.Build.Context, service.Build.Dockerfile)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		stageNamed(t, service.Build.Target)
	}
}

func wantHardened(t *testing.T, name string, service types.ServiceConfig) {
	t.Helper()
	if !service.ReadOnly || !slices.Contains(service.CapDrop, "ALL") || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("%s: read_only %v, cap_drop %v, security_opt %v", name, service.ReadOnly, service.CapDrop, service.SecurityOpt)
	}
	if service.Sysctls["net.ipv4.tcp_migrate_req"] != "1" {
		t.Errorf("%s: sysctls %v", name, service.Sysctls)
	}
	if service.Privileged || service.User == "root" || service.User == "0" {
		t.Errorf("%s runs as %q, privileged %v", name, service.User, service.Privileged)
	}
}
