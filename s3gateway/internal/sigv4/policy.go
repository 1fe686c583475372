package sigv4

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// policy is the signed document of a POST form: until when it holds, and what the form may say.
type policy struct {
	expires     time.Time
	conditions  []condition
	least, most int64 // size of the file
}

// condition is what one field has to be.
type condition struct {
	field  string // lower case
	prefix bool   // starts with value, else equals it
	value  string
	text   string // as the refusal shows it
}

func badPolicy(format string, args ...any) *Error {
	return badRequest("InvalidPolicyDocument", "Invalid Policy: "+format, args...)
}

func policyExpired() *Error { return denied("Invalid according to Policy: Policy expired.") }

func badPolicyJSON() *Error { return badPolicy("Invalid JSON.") }

// parsePolicy reads the base64 form of a policy.
func parsePolicy(encoded string) (*policy, error) {
	if encoded == "" {
		return nil, badPolicy("Expecting '{' but found End-of-Input")
	}
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, badPolicy("invalid Base64 encoding.")
	}
	var document map[string]json.RawMessage
	if err := strictJSON(text, &document); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(document)) {
		if name != "expiration" && name != "conditions" {
			return nil, badPolicy("Unexpected: %q", name)
		}
	}
	p := &policy{most: math.MaxInt64}
	if err := p.parseExpiration(document["expiration"]); err != nil {
		return nil, err
	}
	return p, p.parseConditions(document["conditions"])
}

// strictJSON decodes one JSON text without anything behind it.
func strictJSON(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(into); err != nil {
		return badPolicyJSON()
	}
	if _, err := d.Token(); err != io.EOF {
		return badPolicyJSON()
	}
	return nil
}

func (p *policy) parseExpiration(raw json.RawMessage) error {
	if raw == nil {
		return badPolicy("Policy missing expiration.")
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return badPolicyJSON()
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return badPolicy("Invalid 'expiration' value: '%s'", text)
	}
	p.expires = at
	return nil
}

func (p *policy) parseConditions(raw json.RawMessage) error {
	if raw == nil {
		return badPolicy("Policy missing conditions.")
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return badPolicy("Invalid 'conditions' value: must be a List.")
	}
	for _, item := range list {
		var err error
		switch item = bytes.TrimSpace(item); item[0] {
		case '{':
			err = p.parseSimple(item)
		case '[':
			err = p.parseTest(item)
		default:
			err = badPolicy("Invalid condition test: must be a List or Object.")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parseSimple reads {"field": "value"}.
func (p *policy) parseSimple(item json.RawMessage) error {
	var object map[string]any
	if json.Unmarshal(item, &object) != nil {
		return badPolicyJSON()
	}
	if len(object) != 1 {
		return badPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
	}
	for name, v := range object {
		value, ok := v.(string)
		if !ok {
			return badPolicy("Invalid Simple-Condition: value must be a string.")
		}
		text := fmt.Sprintf("[%q, %q, %q]", "eq", "$"+name, value)
		p.conditions = append(p.conditions, condition{strings.ToLower(name), false, value, text})
	}
	return nil
}

// parseTest reads ["eq" or "starts-with", "$field", "value"] and ["content-length-range", least, most].
func (p *policy) parseTest(item json.RawMessage) error {
	var list []json.RawMessage
	if json.Unmarshal(item, &list) != nil {
		return badPolicyJSON()
	}
	if len(list) == 0 {
		return badPolicy("Invalid Condition: missing operation identifier.")
	}
	var op string
	if json.Unmarshal(list[0], &op) != nil {
		return badPolicyJSON()
	}
	op = strings.ToLower(op)
	if op != "eq" && op != "starts-with" && op != "content-length-range" {
		return badPolicy("Invalid Condition: unknown operation '%s'.", op)
	}
	if len(list) != 3 {
		return badPolicy("Invalid %s: wrong number of arguments.", op)
	}
	if op == "content-length-range" {
		return p.parseRange(list[1], list[2])
	}
	var name, value string
	if json.Unmarshal(list[1], &name) != nil || json.Unmarshal(list[2], &value) != nil {
		return badPolicyJSON()
	}
	field, ok := strings.CutPrefix(strings.ToLower(name), "$")
	if !ok {
		field = "" // which no form has
	}
	p.conditions = append(p.conditions, condition{field, op == "starts-with", value, string(item)})
	return nil
}

// parseRange takes over bounds of the size; of several ranges all hold.
func (p *policy) parseRange(least, most json.RawMessage) error {
	var a, b int64
	if json.Unmarshal(least, &a) != nil || json.Unmarshal(most, &b) != nil {
		return badPolicyJSON()
	}
	p.least, p.most = max(p.least, a), min(p.most, b)
	return nil
}

// check holds a form against the policy: every condition holds, and every field is covered by one.
func (p *policy) check(now time.Time, bucket string, fields map[string]string) error {
	if !now.Before(p.expires) {
		return policyExpired()
	}
	values := maps.Clone(fields)
	values["bucket"] = bucket
	covered := make(map[string]bool, len(p.conditions))
	for _, c := range p.conditions {
		if c.field == "" || !c.holds(values[c.field]) {
			return denied("Invalid according to Policy: Policy Condition failed: " + c.text)
		}
		covered[c.field] = true
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !covered[name] && name != "policy" && name != "x-amz-signature" && !strings.HasPrefix(name, "x-ignore-") {
			return denied("Invalid according to Policy: Extra input fields: " + name)
		}
	}
	return nil
}

// holds compares. A prefix of Content-Type is asked of every type in a list, as S3 does.
func (c condition) holds(value string) bool {
	switch {
	case !c.prefix:
		return value == c.value
	case c.field != "content-type":
		return strings.HasPrefix(value, c.value)
	}
	for v := range strings.SplitSeq(value, ",") {
		if !strings.HasPrefix(strings.TrimSpace(v), c.value) {
			return false
		}
	}
	return true
}
