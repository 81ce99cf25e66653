package deploy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// stages are those of deploy/Dockerfile, as BuildKit reads them.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range parsed.Warnings {
		t.Errorf("deploy/Dockerfile: %s", warning.Short)
	}
	list, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{
		Warn: func(rule, _, _, message string, _ []parser.Range) {
			t.Errorf("deploy/Dockerfile: %s: %s", rule, message)
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func stageNamed(t *testing.T, name string) instructions.Stage {
	t.Helper()
	list := stages(t)
	i := slices.IndexFunc(list, func(s instructions.Stage) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("deploy/Dockerfile has no stage %q", name)
	}
	return list[i]
}

// The images that are shipped run as somebody else than root; those of one
// program have neither a base nor a step that runs anything.
func TestDockerfileStages(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"edge", "demo", "embedded"} {
		stage := stageNamed(t, name)
		user, health := "", false
		for _, command := range stage.Commands {
			switch c := command.(type) {
			case *instructions.UserCommand:
				user = c.User
			case *instructions.HealthCheckCommand:
				health = slices.Equal(c.Health.Test, []string{"CMD", "/usr/bin/mana-edge", "mana", "health"})
			case *instructions.RunCommand:
				if name != "embedded" {
					t.Errorf("%s runs %v", name, c.CmdLine)
				}
			}
		}
		if user != "65532:65532" {
			t.Errorf("%s runs as %q", name, user)
		}
		if health != (name != "demo") {
			t.Errorf("%s: the binary checks its health: %v", name, health)
		}
		if base := stage.BaseName; (base == "scratch") != (name != "embedded") {
			t.Errorf("%s is made from %s", name, base)
		}
	}
	build := runLines(t, "build")
	for _, needed := range []string{"CGO_ENABLED=0 go build -trimpath -tags " + tags, "./cmd/mana-edge ./cmd/demo-app"} {
		if !strings.Contains(build, needed) {
			t.Errorf("the build stage lacks %q:\n%s", needed, build)
		}
	}
}

// runLines are the shell commands of a stage.
func runLines(t *testing.T, name string) string {
	t.Helper()
	var lines []string
	for _, command := range stageNamed(t, name).Commands {
		if run, ok := command.(*instructions.RunCommand); ok {
			lines = append(lines, strings.Join(run.CmdLine, " "))
		}
	}
	return strings.Join(lines, "\n")
}
