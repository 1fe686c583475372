package guides

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// manifest is what of Kubernetes' objects this test looks at.
type manifest struct {
	Kind string
	Data map[string]string
	Spec struct {
		Template struct {
			Spec struct {
				Containers []struct {
					Ports []struct {
						Name string
						Port int `yaml:"containerPort"`
					}
					Readiness probe   `yaml:"readinessProbe"`
					Liveness  probe   `yaml:"livenessProbe"`
					Mounts    []mount `yaml:"volumeMounts"`
				}
			}
		}
	}
}

type mount struct {
	Path string `yaml:"mountPath"`
}

type probe struct {
	Get struct{ Path, Port string } `yaml:"httpGet"`
}

// TestKubernetes: the manifest's Caddyfile is valid without its secrets, which are where it looks
// for them, and the probes ask where it answers.
func TestKubernetes(t *testing.T) {
	text, err := os.ReadFile("../kubernetes/fado.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]manifest)
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var m manifest
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kinds[m.Kind] = m
	}
	caddyfile := kinds["ConfigMap"].Data["Caddyfile"]
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "fado", "validate", "--config", file, "--offline")
	cmd.Env = append(os.Environ(), caddyEnv+"=1", "HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Valid configuration, whatever these stand for: {file./run/secrets/fado/berlin_secret_key}, {file./run/secrets/fado/encryption_key}") {
		t.Errorf("%v: %s", err, out)
	}
	all := kinds["Deployment"].Spec.Template.Spec.Containers
	if len(all) != 1 {
		t.Fatalf("%d containers", len(all))
	}
	c := all[0]
	if !slices.Contains(c.Mounts, mount{"/run/secrets/fado"}) {
		t.Error("no secrets are mounted where the Caddyfile looks for them")
	}
	for _, p := range []probe{c.Readiness, c.Liveness} {
		if path, _, _ := strings.Cut(p.Get.Path, "?"); p.Get.Port != "health" || !strings.Contains(caddyfile, ":8081 {\n") || !strings.Contains(caddyfile, "fado_health "+path+"\n") {
			t.Errorf("the probe %+v asks where nothing answers", p.Get)
		}
	}
	if c.Liveness.Get.Path != "/healthz?live=true" || c.Ports[1].Name != "health" || c.Ports[1].Port != 8081 {
		t.Errorf("%+v, %+v", c.Liveness, c.Ports)
	}
}
