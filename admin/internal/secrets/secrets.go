package secrets

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// Redacted is what a literal secret reads as.
const Redacted = "***"

// placeholder is a value that names where a secret is and holds none of it.
var placeholder = regexp.MustCompile(`^\{(env|file)\.[^{}]+\}$`)

// Redact hides the literal secrets of a resource that is the caller's own.
func Redact(r catalog.Resource) {
	if key, ok := r.(*catalog.Key); ok {
		key.Secret = Redacted
		return
	}
	cl, ok := r.(*catalog.Cluster)
	if !ok {
		return
	}
	for i := range cl.Functions {
		for _, s := range cl.Functions[i].Dressings() {
			if s.Secret && *s.Value != "" && !anyPlaceholder.MatchString(*s.Value) {
				*s.Value = Redacted
			}
		}
	}
	if cl.Storage == nil || cl.Storage.SecretKey == "" {
		return
	}
	if !placeholder.MatchString(cl.Storage.SecretKey) {
		cl.Storage.SecretKey = Redacted
	}
}

// Fill puts what is stored where a client sent "***"; now is what is stored, nil for nothing. It
// returns a violation for each "***" that stands for nothing. A stored secret is bound to where it is sent: a client that may change the catalogue must not be able to
// have it used against a server of theirs. For the same reason a placeholder has to be one
// that the configuration allows; what is stored, and stays where it is sent, is left alone.
func Fill(r, now catalog.Resource, allowed catalog.SecretPatterns) []catalog.Violation {
	if key, ok := r.(*catalog.Key); ok {
		return fillKeySecret(key, now)
	}
	cl, ok := r.(*catalog.Cluster)
	if !ok {
		return nil
	}
	wrong := checkFunctionSecrets(cl, allowed)
	if cl.Storage == nil {
		return wrong
	}
	stored := new(catalog.Storage)
	if old, ok := now.(*catalog.Cluster); ok && old != nil && old.Storage != nil {
		stored = old.Storage
	}
	for _, f := range []struct {
		field      string
		value, was *string
	}{
		{"access_key", &cl.Storage.AccessKey, &stored.AccessKey},
		{"secret_key", &cl.Storage.SecretKey, &stored.SecretKey},
	} {
		if *f.value != Redacted {
			if *f.value != *f.was || Reaching(cl.Storage, stored) != "" {
				wrong = append(wrong, forbidden(cl.Name, f.field, *f.value, allowed)...)
			}
			continue
		}
		if want := secretWanted(cl.Storage, stored, *f.was); want != "" {
			wrong = append(wrong, catalog.Violation{
				Field: "cluster " + cl.Name + ": storage." + f.field, Value: Redacted, Expected: want,
			})
			continue
		}
		*f.value = *f.was
	}
	return wrong
}

// anyPlaceholder finds what names a place where a secret is, or a part of the request.
var anyPlaceholder = regexp.MustCompile(`\{[^{}]+\}`)

// checkFunctionSecrets returns a violation for each secret of a function endpoint that is
// literal, since those are not sealed, and each placeholder that the configuration does not
// allow.
func checkFunctionSecrets(cl *catalog.Cluster, allowed catalog.SecretPatterns) (wrong []catalog.Violation) {
	for i := range cl.Functions {
		for _, s := range cl.Functions[i].Dressings() {
			field := fmt.Sprintf("cluster %s: functions[%d].%s", cl.Name, i, s.Field)
			switch {
			case !allowed.Allow(*s.Value):
				wrong = append(wrong, catalog.Violation{Field: field, Value: Redacted, Expected: "placeholders that the configuration allows: " + allowed.String() + " (option secrets)"})
			case s.Secret && *s.Value != "" && !anyPlaceholder.MatchString(*s.Value):
				wrong = append(wrong, catalog.Violation{Field: field, Value: Redacted, Expected: "a placeholder such as {env.FADO_TOKEN}: secrets of functions are not kept"})
			}
		}
	}
	return wrong
}

// forbidden returns a violation if a value has placeholders that are not allowed.
func forbidden(cluster, field, value string, allowed catalog.SecretPatterns) []catalog.Violation {
	if allowed.Allow(value) {
		return nil
	}
	return []catalog.Violation{{
		Field: "cluster " + cluster + ": storage." + field, Value: Redacted,
		Expected: "placeholders that the configuration allows: " + allowed.String() + " (option secrets)",
	}}
}

// secretWanted says what is expected in place of "***", "" where it stands for the
// stored value.
func secretWanted(next, stored *catalog.Storage, was string) string {
	const value = "the value or a placeholder such as {env.NAME}"
	if was == "" {
		return value + `: "***" stands for the stored value, and there is none`
	}
	if changed := Reaching(next, stored); changed != "" {
		return fmt.Sprintf(`%s again: "***" stands for the stored value, which is for the storage it was given for, and %s changes`, value, changed)
	}
	return ""
}

// Reaching names the first setting by which two storages would be reached, or trusted,
// differently; "" if there is none.
func Reaching(a, b *catalog.Storage) string {
	switch {
	case server(a.Endpoint) != server(b.Endpoint):
		return "endpoint"
	case a.VirtualHost != b.VirtualHost:
		return "virtual_host"
	case a.CAFile != b.CAFile:
		return "ca_file"
	case a.InsecureSkipVerify != b.InsecureSkipVerify:
		return "insecure_skip_verify"
	default:
		return ""
	}
}

// server returns the scheme, host and port of an endpoint, in one spelling.
func server(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// fillKeySecret puts the stored secret where a client sent "***".
func fillKeySecret(key *catalog.Key, now catalog.Resource) []catalog.Violation {
	if key.Secret != Redacted {
		return nil
	}
	if old, ok := now.(*catalog.Key); ok && old != nil && old.Secret != "" {
		key.Secret = old.Secret
		return nil
	}
	return []catalog.Violation{{
		Field: "key " + key.Name + ": secret", Value: Redacted,
		Expected: `the value: "***" stands for the stored one, and there is none`,
	}}
}

// Keep puts the declared values where a client sent "***".
func Keep(r, now catalog.Resource) {
	cl, ok := r.(*catalog.Cluster)
	old, _ := now.(*catalog.Cluster)
	if !ok || old == nil {
		return
	}
	if cl.Storage != nil && old.Storage != nil && cl.Storage.SecretKey == Redacted {
		cl.Storage.SecretKey = old.Storage.SecretKey
	}
	for i := range min(len(cl.Functions), len(old.Functions)) {
		was := old.Functions[i].Dressings()
		for _, s := range cl.Functions[i].Dressings() {
			j := slices.IndexFunc(was, func(d catalog.Dressing) bool { return d.Field == s.Field })
			if s.Secret && *s.Value == Redacted && j >= 0 && was[j].Secret {
				*s.Value = *was[j].Value
			}
		}
	}
}
