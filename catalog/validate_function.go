package catalog

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what is set on requests to a function endpoint.
const (
	maxHeaders     = 50
	maxHeaderValue = 8 << 10
)

var (
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}$") // RFC 9110, 5.6.2
	awsName    = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
)

// ownHeaders are set by HTTP itself, or by FaDO.
var ownHeaders = []string{"connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// functionChecker checks the function endpoints of a cluster, each by itself and beside those before.
type functionChecker struct {
	*violations
	seen map[string]bool // addresses
}

// function checks one function endpoint.
func (c *functionChecker) function(path string, f *Function) {
	u, problem := parseHTTP(f.URL)
	switch {
	case problem != "":
		c.add(path+".url", redactURL(f.URL), problem)
	case c.seen[functionAddress(u)]:
		c.add(path+".url", f.URL, "a URL that no other function of the cluster has")
	default:
		c.seen[functionAddress(u)] = true
	}
	c.dress(path, f)
	if f.Weight < 1 || f.Weight > MaxWeight {
		c.add(path+".weight", strconv.Itoa(f.Weight), wantWeight)
	}
	if f.MaxRequests < 0 {
		c.add(path+".max_requests", strconv.Itoa(f.MaxRequests), "a whole number, 0 for no limit")
	}
	if f.HealthPath != "" && !validHealthPath(f.HealthPath) {
		c.add(path+".health_path", redactURL(f.HealthPath), `a path that begins with "/"`)
	}
}

// dress checks what is set on requests to a function endpoint.
func (c *functionChecker) dress(path string, f *Function) {
	if f.Host != "" && strings.ContainsAny(f.Host, " \t\r\n/@") {
		c.add(path+".host", f.Host, "the value of a Host header, such as fn.example.com")
	}
	if c.atMost(path+".header", len(f.Header), maxHeaders) {
		c.headers(path+".header", f.Header)
	}
	if s := f.Sign; s != nil {
		c.sign(path+".sign", s)
	}
}

func (c *functionChecker) headers(path string, fields []HeaderField) {
	var seen []string
	for i, h := range fields {
		name := strings.ToLower(h.Name)
		switch {
		case !headerName.MatchString(h.Name):
			c.add(at(path, i)+".name", h.Name, "the name of a header")
		case slices.Contains(ownHeaders, name):
			c.add(at(path, i)+".name", h.Name, "a header that is not HTTP's own (host has an option of its own)")
		case strings.HasPrefix(name, "x-fado-"):
			c.add(at(path, i)+".name", h.Name, "a header that is not FaDO's own")
		case slices.Contains(seen, name):
			c.add(at(path, i)+".name", h.Name, "every header only once")
		}
		seen = append(seen, name)
		if len(h.Value) > maxHeaderValue || strings.ContainsAny(h.Value, "\r\n\x00") {
			c.add(at(path, i)+".value", "***", "a value of one line, of at most 8 KiB")
		}
	}
}

func (c *functionChecker) sign(path string, s *Sign) {
	if s.Type != SignAWS {
		c.add(path+".type", s.Type, "aws")
	}
	if !awsName.MatchString(s.Service) {
		c.add(path+".service", s.Service, "an AWS service such as lambda or execute-api")
	}
	if !awsName.MatchString(s.Region) {
		c.add(path+".region", s.Region, "an AWS region such as eu-central-1")
	}
	if s.AccessKey == "" {
		c.add(path+".access_key", "", "an access key ID")
	}
	if s.SecretKey == "" {
		c.add(path+".secret_key", "", "a secret access key")
	}
}
