package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"go.yaml.in/yaml/v3"

	_ "github.com/fado-project/fado"
)

// service is the part of a Compose service that the tests look at
// (https://github.com/compose-spec/compose-spec/blob/main/spec.md).
type service struct {
	Image string `yaml:"image"`
	Build struct {
		Context    string `yaml:"context"`
		Dockerfile string `yaml:"dockerfile"`
	} `yaml:"build"`
	Environment map[string]string    `yaml:"environment"`
	Volumes     []string             `yaml:"volumes"`
	Ports       []string             `yaml:"ports"`
	DependsOn   map[string]condition `yaml:"depends_on"`
	Command     any                  `yaml:"command"`
	Restart     string               `yaml:"restart"`
	Healthcheck map[string]any       `yaml:"healthcheck"`
}

type condition struct {
	Condition string `yaml:"condition"`
}

func readCompose(t *testing.T) (services map[string]service, volumes map[string]any) {
	t.Helper()
	f, err := os.Open("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all struct {
		Name     string             `yaml:"name"`
		Services map[string]service `yaml:"services"`
		Volumes  map[string]any     `yaml:"volumes"`
		Parts    map[string]any     `yaml:",inline"` // x-…, which the services are made of
	}
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	if err := dec.Decode(&all); err != nil {
		t.Fatal(err)
	}
	for name := range all.Parts {
		if !strings.HasPrefix(name, "x-") {
			t.Errorf("unknown section %s", name)
		}
	}
	if len(all.Services) != 10 {
		t.Fatalf("there are %d services", len(all.Services))
	}
	return all.Services, all.Volumes
}

// TestCompose holds the Compose file to what it refers to: files, volumes, services, and
// ports that are open on this machine only.
func TestCompose(t *testing.T) {
	services, volumes := readCompose(t)
	for name, s := range services {
		if s.Image == "" {
			t.Errorf("%s: no image", name)
		}
		if s.Build.Context != "" {
			dockerfile := s.Build.Dockerfile
			if dockerfile == "" {
				dockerfile = "Dockerfile"
			}
			if _, err := os.Stat(filepath.Join(s.Build.Context, dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			_, known := volumes[from]
			if _, err := os.Stat(from); !known && (err != nil || !strings.HasPrefix(from, "./")) {
				t.Errorf("%s: volume %s: %v", name, v, err)
			}
		}
		for other, c := range s.DependsOn {
			if services[other].Healthcheck == nil || c.Condition != "service_healthy" {
				t.Errorf("%s: depends on %s, which says nothing of its health", name, other)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to others", name, p)
			}
		}
	}
}

// TestComposeConfigures adapts each Caddyfile with the environment of its services, and
// finds the hosts that it names among them.
func TestComposeConfigures(t *testing.T) {
	services, _ := readCompose(t)
	for name, s := range services {
		file, ok := "", false
		for _, v := range s.Volumes {
			if f, target, _ := strings.Cut(v, ":"); strings.HasPrefix(target, "/etc/caddy/Caddyfile") {
				file, ok = f, true
			}
		}
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for k, v := range s.Environment {
				t.Setenv(k, v)
			}
			config := adapt(t, file)
			for _, m := range regexp.MustCompile(`\{env\.([A-Z_]+)\}`).FindAllStringSubmatch(config, -1) {
				if s.Environment[m[1]] == "" {
					t.Errorf("%s is not in the environment", m[0])
				}
			}
			hosts := regexp.MustCompile(`(?:http://|"dial":")([a-z0-9-]+):\d+`).FindAllStringSubmatch(config, -1)
			if len(hosts) < 2 {
				t.Errorf("no hosts in %s", config)
			}
			for _, m := range hosts {
				if _, known := services[m[1]]; !known {
					t.Errorf("%s leads to no service", m[0])
				}
			}
		})
	}
}

// adapt returns the JSON of a Caddyfile, which must give no warning but of its formatting.
func adapt(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": file})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Errorf("warning: %s", w.String())
	}
	if !json.Valid(out) {
		t.Fatalf("no JSON: %s", out)
	}
	return string(out)
}
