package catalog

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// SecretPatterns say which placeholders a resource made by the API may use. Each is a whole
// placeholder, {env.NAME} or {file./path}, in which * stands for any characters but "/", ?
// for one of them and [...] for one of a set. None at all means the default patterns.
//
// Without them, who may write the API could have any environment variable and any file of
// the process sent to a server of theirs.
type SecretPatterns []string

// defaultSecrets are the patterns where none are configured.
var defaultSecrets = SecretPatterns{"{env.FADO_*}", "{file./run/secrets/*}"}

var (
	secretPlaceholder = regexp.MustCompile(`\{(env|file)\.[^{}]*\}`)
	secretPattern     = regexp.MustCompile(`^\{(env|file)\.[^{}\\]+\}$`)
)

// Validate names the patterns that are none.
func (p SecretPatterns) Validate() error {
	var errs []error
	for i, pattern := range p {
		if _, err := path.Match(pattern, ""); err != nil || !secretPattern.MatchString(pattern) {
			errs = append(errs, fmt.Errorf("secrets[%d]: %q: expected a pattern of placeholders such as {env.FADO_*} or {file./run/secrets/*}", i, pattern))
		}
	}
	return errors.Join(errs...)
}

// String lists the patterns in force.
func (p SecretPatterns) String() string { return strings.Join(p.inForce(), " ") }

func (p SecretPatterns) inForce() SecretPatterns {
	if len(p) == 0 {
		return defaultSecrets
	}
	return p
}

// Allow reports whether every placeholder in a value is one that a pattern allows. A value
// without placeholders is allowed.
func (p SecretPatterns) Allow(value string) bool {
	if !strings.Contains(value, "{env.") && !strings.Contains(value, "{file.") {
		return true
	}
	for _, ph := range secretPlaceholder.FindAllString(value, -1) {
		if !slices.ContainsFunc(p.inForce(), func(pattern string) bool { return matches(pattern, ph) }) {
			return false
		}
	}
	// What is left must not be read as one by a reader that knows nesting and escapes.
	rest := secretPlaceholder.ReplaceAllString(value, "")
	return !strings.Contains(rest, "{env.") && !strings.Contains(rest, "{file.") && !strings.Contains(value, `\`)
}

// Refuse says which key of a storage has a placeholder that no pattern allows; nil where all
// may be used. The error holds neither the value nor the placeholder.
func (p SecretPatterns) Refuse(s *Storage) error {
	for _, key := range []struct{ field, value string }{{"access_key", s.AccessKey}, {"secret_key", s.SecretKey}} {
		if !p.Allow(key.value) {
			return fmt.Errorf("%s names a placeholder that the option secrets does not allow for clusters made by the API (allowed: %s)", key.field, p)
		}
	}
	return nil
}

// matches reports whether a placeholder is one of a pattern, and a file's path one without
// detours, which could lead out of it.
func matches(pattern, placeholder string) bool {
	if name, ok := strings.CutPrefix(placeholder, "{file."); ok {
		if name = strings.TrimSuffix(name, "}"); path.Clean(name) != name {
			return false
		}
	}
	ok, err := path.Match(pattern, placeholder)
	return ok && err == nil
}

// Dressing is a value that is set on requests to a function endpoint.
type Dressing struct {
	Field  string // "host", "header[0].value", "sign.secret_key"
	Value  *string
	Secret bool // it is worth hiding, by its name
}

// Dressings lists what is set on requests to the endpoint.
func (f *Function) Dressings() []Dressing {
	all := []Dressing{{"host", &f.Host, false}}
	for i := range f.Header {
		name := strings.ToLower(f.Header[i].Name)
		secret := name == "authorization" || name == "proxy-authorization" || name == "cookie" ||
			strings.Contains(name, "key") || strings.Contains(name, "token") || strings.Contains(name, "secret")
		all = append(all, Dressing{fmt.Sprintf("header[%d].value", i), &f.Header[i].Value, secret})
	}
	if s := f.Sign; s != nil {
		all = append(
			all, Dressing{"sign.access_key", &s.AccessKey, false}, Dressing{"sign.secret_key", &s.SecretKey, true},
			Dressing{"sign.session_token", &s.SessionToken, true},
		)
	}
	return all
}

// WithoutSecrets returns a resource, or a copy of it without its secrets: keys, and what functions
// are sent that is worth hiding and no placeholder.
func WithoutSecrets(r Resource) Resource {
	switch with := r.(type) {
	case *Cluster:
		return with.withoutSecrets()
	case *Key:
		k := *with
		k.Secret = ""
		return &k
	default:
		return r
	}
}

func (c *Cluster) withoutSecrets() *Cluster {
	c = c.Clone().(*Cluster)
	if c.Storage != nil {
		c.Storage.AccessKey, c.Storage.SecretKey = "", ""
	}
	for i := range c.Functions {
		for _, d := range c.Functions[i].Dressings() {
			if d.Secret && !strings.Contains(*d.Value, "{") {
				*d.Value = ""
			}
		}
	}
	return c
}
