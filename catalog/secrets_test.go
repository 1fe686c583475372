package catalog

import (
	"strings"
	"testing"
)

func TestSecretPatternsAllow(t *testing.T) {
	for value, want := range map[string]bool{
		"": true, "literal": true, "braces{of}others": true,
		"{env.FADO_KEY}": true, "{env.FADO_}": true, "a-{env.FADO_KEY}-{file./run/secrets/s3}": true, "{file./run/secrets/s3}": true,
		"{env.HOME}": false, "{env.XFADO_KEY}": false, "{env.fado_key}": false, "{env.}": false, "x{env.AWS_SECRET}": false,
		"{env.FADO_KEY}{env.HOME}": false, "{file./etc/passwd}": false, "{file.run/secrets/x}": false,
		"{file./run/secrets/../../etc/passwd}": false, "{file./run/secrets/a/b}": false, "{file./run/secrets/..}": false,
		"{file.//run/secrets/x}": false, "{file./run/secrets/./x}": false,
		"{env.FADO_{env.HOME}}": false, "{env.HOME": false, "{env.{env.FADO_KEY}": false, `{env.FADO_\}X}`: false, `{file./run/secrets/x\}/y}`: false,
	} {
		if got := SecretPatterns(nil).Allow(value); got != want {
			t.Errorf("%s: allowed %v, want %v", value, got, want)
		}
	}
	own := SecretPatterns{"{env.S3_*}", "{file./etc/s3/*/key}"}
	for value, want := range map[string]bool{
		"{env.S3_KEY}": true, "{file./etc/s3/berlin/key}": true,
		"{env.FADO_KEY}": false, "{file./run/secrets/s3}": false, "{file./etc/s3/../key}": false,
	} {
		if got := own.Allow(value); got != want {
			t.Errorf("%v: %s: allowed %v, want %v", own, value, got, want)
		}
	}
}

func TestSecretPatternsValidate(t *testing.T) {
	if err := (SecretPatterns{"{env.FADO_*}", "{file./run/secrets/*}", "{env.*}", "{env.[A-Z]?}"}).Validate(); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "*", "env.FADO_*", "{env.}", "{http.request.header.X}", "{env.A}{env.B}", "{env.[}", `{env.\*}`} {
		err := SecretPatterns{"{env.A}", bad}.Validate()
		if err == nil || !strings.Contains(err.Error(), "secrets[1]: ") || strings.Contains(err.Error(), "secrets[0]") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
