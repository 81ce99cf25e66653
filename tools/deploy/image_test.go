package deploy_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

const (
	tags = "nobadger,nomysql,nopgx"
	// nobody is who the image runs as.
	nobody = 65532
)

// out is what the build stage leaves in /out.
var out string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mana-image-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build compiles the static programs, as the build stage does.
var build = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-trimpath", "-tags", tags, "-ldflags", "-s -w", "-o", out+"/", "./cmd/mana-edge", "./cmd/demo-app")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, text)
	}
	return nil
})

// command prepares the static mana-edge, with an environment of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(out, "mana-edge"), args...)
	home := t.TempDir()
	cmd.Env = []string{"HOME=" + home, "XDG_DATA_HOME=" + home, "XDG_CONFIG_HOME=" + home}
	return cmd
}

func bufferedReader(text []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(text)) }

// The image of the edge is built without a daemon, by the Dockerfile's own
// lines, written as an OCI layout, read back and unpacked. What is in it starts
// as a user of no rights, serves without a database, and says by itself how it is.
func TestImageRuns(t *testing.T) {
	t.Parallel()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	image := imageOf(t, "edge")
	path := filepath.Join(t.TempDir(), "oci")
	if _, err := layout.Write(path, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image})); err != nil {
		t.Fatal(err)
	}
	rootfs, config := unpack(t, path)

	files := regularFiles(t, rootfs)
	if want := []string{"etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "usr/bin/mana-edge"}; !slices.Equal(files, want) {
		t.Errorf("the image holds %v, want %v", files, want)
	}
	binary, err := elf.Open(filepath.Join(rootfs, "usr/bin/mana-edge"))
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	if libraries, err := binary.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("the binary needs %v, %v", libraries, err)
	}
	if config.User != "65532:65532" || config.Healthcheck == nil {
		t.Fatalf("config: user %q, health check %v", config.User, config.Healthcheck)
	}

	port := freePort(t)
	caddyfile := fmt.Sprintf(`{
	admin unix//run/mana-edge/admin.sock
	auto_https off
	mana {
		database postgres://mana:pw@127.0.0.1:%d/mana?sslmode=disable
		base_url http://auth.mana.localhost:%d
		encryption_key {env.MANA_ENCRYPTION_KEY}
	}
}
http://auth.mana.localhost:%[2]d {
	bind 127.0.0.1
	mana_api
}
`, freePort(t), port)
	if err := os.WriteFile(filepath.Join(rootfs, "etc/mana-edge/Caddyfile"), []byte(caddyfile), 0o644); err != nil {
		t.Fatal(err)
	}
	inside := func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Path = args[0]
		cmd.Err = nil // looked up on this side of chroot
		cmd.Dir = config.WorkingDir
		cmd.Env = append(slices.Clone(config.Env), "MANA_ENCRYPTION_KEY=the encryption key of a test, long enough")
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: rootfs, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return cmd
	}
	var log bytes.Buffer
	edge := inside(context.WithoutCancel(t.Context()), slices.Concat(config.Entrypoint, config.Cmd)...)
	edge.Stdout, edge.Stderr = &log, &log
	if err := edge.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- edge.Wait() }()
	stop := sync.OnceFunc(func() {
		_ = edge.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Error("the edge does not stop")
			_ = edge.Process.Kill()
			<-ended
		}
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("log of the edge:\n%s", log.String())
		}
	})

	check := config.Healthcheck.Test[1:]
	var said []byte
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if said, err = inside(t.Context(), check...).CombinedOutput(); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the health check fails: %v\n%s", err, said)
		}
	}
	if said, err := inside(t.Context(), append(slices.Clone(check), "--ready")...).CombinedOutput(); err == nil {
		t.Errorf("ready without a database: %s", said)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/health", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = fmt.Sprintf("auth.mana.localhost:%d", port)
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/health answers %d", resp.StatusCode)
	}
	stop()
	if said, err := inside(t.Context(), check...).CombinedOutput(); err == nil {
		t.Errorf("healthy after it was stopped: %s", said)
	}
	for _, name := range regularFiles(t, rootfs) {
		if !slices.Contains(files, name) && name != "etc/mana-edge/Caddyfile" && !strings.HasPrefix(name, "data/") && !strings.HasPrefix(name, "tmp/") && !strings.HasPrefix(name, "run/mana-edge/") {
			t.Errorf("the edge wrote %s", name)
		}
	}
}

// imageOf makes the image of a stage from what the build stage leaves.
func imageOf(t *testing.T, name string) v1.Image {
	t.Helper()
	// The last line of the build stage makes the files of the bare image.
	lines := strings.Split(runLines(t, "build"), "\n")
	prepare := strings.ReplaceAll(lines[len(lines)-1], "/out/", out+"/")
	if text, err := exec.CommandContext(t.Context(), "sh", "-ec", prepare).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", prepare, err, text)
	}

	image := v1.Image(empty.Image)
	var config v1.Config
	for _, command := range stageNamed(t, name).Commands {
		switch c := command.(type) {
		case *instructions.CopyCommand:
			if c.From != "build" {
				t.Fatalf("%s copies from %q", name, c.From)
			}
			for _, source := range c.SourcePaths {
				layer, err := layerOf(strings.Replace(source, "/out/", out+"/", 1), c.DestPath)
				if err != nil {
					t.Fatal(err)
				}
				if image, err = mutate.AppendLayers(image, layer); err != nil {
					t.Fatal(err)
				}
			}
		case *instructions.EnvCommand:
			for _, pair := range c.Env {
				config.Env = append(config.Env, pair.Key+"="+pair.Value)
			}
		case *instructions.WorkdirCommand:
			config.WorkingDir = c.Path
		case *instructions.UserCommand:
			config.User = c.User
		case *instructions.EntrypointCommand:
			config.Entrypoint = c.CmdLine
		case *instructions.CmdCommand:
			config.Cmd = c.CmdLine
		case *instructions.StopSignalCommand:
			config.StopSignal = c.Signal
		case *instructions.HealthCheckCommand:
			config.Healthcheck = &v1.HealthConfig{Test: c.Health.Test, Interval: c.Health.Interval, Timeout: c.Health.Timeout, Retries: c.Health.Retries}
		case *instructions.ExposeCommand, *instructions.VolumeCommand:
		default:
			t.Fatalf("%s has a step that this test does not know: %s", name, command.Name())
		}
	}
	image, err := mutate.Config(image, config)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// layerOf is a layer with a file or a tree of this machine.
func layerOf(source, dest string) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		if header.Name = strings.TrimPrefix(filepath.Join(dest, relative), "/"); header.Name == "" {
			return nil
		}
		if entry.IsDir() {
			header.Name += "/"
		}
		if err := w.WriteHeader(header); err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(w, file)
		return err
	})
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
}

// unpack reads the one image of an OCI layout and lays its files out.
func unpack(t *testing.T, path string) (rootfs string, config v1.Config) {
	t.Helper()
	index, err := layout.ImageIndexFromPath(path)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("the layout has %d images, %v", len(manifest.Manifests), err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: who runs in it is somebody else, and must reach it.
	rootfs, err = os.MkdirTemp("", "mana-rootfs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(rootfs) })
	if err := os.Chmod(rootfs, 0o755); err != nil {
		t.Fatal(err)
	}
	stream := mutate.Extract(image)
	defer stream.Close()
	for reader := tar.NewReader(stream); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return rootfs, file.Config
		}
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(rootfs, filepath.Clean("/"+header.Name))
		mode := header.FileInfo().Mode()
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(target, 0o755)
		} else {
			err = writeFile(target, reader)
		}
		if err := errors.Join(err, os.Chown(target, header.Uid, header.Gid), os.Chmod(target, mode)); err != nil {
			t.Fatal(err)
		}
	}
}

func writeFile(path string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// regularFiles lists the files below a folder, sorted.
func regularFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			relative, _ := filepath.Rel(dir, path)
			names = append(names, relative)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// selfSigned writes a certificate and its key and returns where they are.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"*.example.com"}, NotAfter: time.Now().Add(time.Hour)}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("tls.crt", "CERTIFICATE", public), write("tls.key", "EC PRIVATE KEY", sealed)
}
