package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signature is what a request says of its own signature.
type signature struct {
	cred      credential
	signed    []string // names of signed headers, lower case, as listed
	value     string   // hex
	at        time.Time
	payload   string // the last line of the canonical request: a hash, or how the body is signed
	presigned bool
}

// credential is the scope of a signature.
type credential struct{ keyID, day, region string }

func (c credential) scope() string { return c.day + "/" + c.region + "/" + service + "/" + terminal }

// parse reads the signature of r and judges all that can be judged without a secret.
func (v *Verifier) parse(r *http.Request) (*signature, error) {
	query := presignQuery(r.URL.RawQuery)
	authorization := r.Header.Get("Authorization")
	switch {
	case authorization != "" && query != nil:
		return nil, invalidArgument("Authorization", authorization, "Only one auth mechanism allowed; only the X-Amz-Algorithm query "+
			"parameter, Signature query string parameter or the Authorization header should be specified")
	case authorization != "":
		return v.parseHeader(r, authorization)
	case query != nil:
		return v.parseQuery(r, query)
	default:
		return nil, ErrAnonymous
	}
}

// presignQuery returns the query if it carries a signature, of whatever version.
func presignQuery(raw string) url.Values {
	if !strings.Contains(raw, "X-Amz-") && !strings.Contains(raw, "Signature=") {
		return nil
	}
	q, _ := url.ParseQuery(raw) // what can't be parsed is not there, and the signature covers the rest
	if slices.ContainsFunc([]string{"X-Amz-Algorithm", "X-Amz-Signature", "X-Amz-Credential"}, q.Has) ||
		q.Has("Signature") && q.Has("AWSAccessKeyId") {
		return q
	}
	return nil
}

func (v *Verifier) parseHeader(r *http.Request, authorization string) (*signature, error) {
	scheme, rest, ok := strings.Cut(authorization, " ")
	switch {
	case scheme == "AWS":
		return nil, onlyVersion4()
	case !ok:
		return nil, invalidArgument("Authorization", authorization, "Authorization header is invalid -- one and only one ' ' (space) required.")
	case scheme != algorithm:
		return nil, invalidArgument("Authorization", scheme, "Unsupported Authorization Type")
	}
	sig := new(signature)
	if err := sig.components(v, rest); err != nil {
		return nil, err
	}
	if r.Header.Get("X-Amz-Security-Token") != "" {
		return nil, invalidToken()
	}
	var err *Error
	if sig.at, err = headerTime(r.Header); err != nil {
		return nil, err
	}
	if sig.at.Format(dayFormat) != sig.cred.day {
		return nil, malformedHeader("Invalid credential date. Date is not the same as X-Amz-Date.")
	}
	now := v.now()
	if d := now.Sub(sig.at); d > v.skew() || d < -v.skew() {
		return nil, tooSkewed(sig.at, now, v.skew())
	}
	if sig.payload = r.Header.Get("X-Amz-Content-Sha256"); sig.payload == "" {
		return nil, invalidRequest("Missing required header for this request: x-amz-content-sha256")
	}
	return sig, nil
}

// components reads "Credential=…, SignedHeaders=…, Signature=…".
func (s *signature) components(v *Verifier, list string) error {
	parts := strings.Split(list, ",")
	if len(parts) != 3 {
		return malformedHeader("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	}
	values := make(map[string]string, 3)
	for _, part := range parts {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return malformedHeader("the authorization component %q is malformed.", strings.TrimSpace(part))
		}
		values[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if values[name] == "" {
			return malformedHeader("missing %s.", name)
		}
	}
	cred, err := v.parseCredential(values["Credential"], malformedHeader)
	if err != nil {
		return err
	}
	s.cred, s.value = cred, values["Signature"]
	s.signed = strings.Split(strings.ToLower(values["SignedHeaders"]), ";")
	return nil
}

// parseCredential reads "<key>/<day>/<region>/s3/aws4_request".
func (v *Verifier) parseCredential(value string, bad malformed) (credential, error) {
	parts := strings.Split(value, "/")
	if len(parts) != 5 || parts[0] == "" {
		return credential{}, bad("the Credential is mal-formed; expecting %q.", "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request")
	}
	c := credential{keyID: parts[0], day: parts[1], region: parts[2]}
	if parts[4] != terminal {
		return c, bad("incorrect terminal %q. This endpoint uses %q.", parts[4], terminal)
	}
	if parts[3] != service {
		return c, bad("incorrect service %q. This endpoint belongs to %q.", parts[3], service)
	}
	if c.region != v.Region {
		e := bad("the region %q is wrong; expecting %q", c.region, v.Region)
		e.Details = append(e.Details, Detail{"Region", v.Region})
		return c, e
	}
	if _, err := time.Parse(dayFormat, c.day); err != nil {
		return c, bad("incorrect date format %q. This date in the credential must be in the format %q.", c.day, "yyyyMMdd")
	}
	return c, nil
}

// headerTime reads the time of a request signed in its header: X-Amz-Date, else Date.
func headerTime(h http.Header) (time.Time, *Error) {
	if s := h.Get("X-Amz-Date"); s != "" {
		return parseTime(s)
	}
	return parseTime(h.Get("Date"))
}

func parseTime(s string) (time.Time, *Error) {
	for _, layout := range []string{stampFormat, http.TimeFormat, time.RFC1123Z} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, missingDate()
}

func (v *Verifier) parseQuery(r *http.Request, q url.Values) (*signature, error) {
	if q.Has("AWSAccessKeyId") && !q.Has("X-Amz-Algorithm") {
		return nil, onlyVersion4()
	}
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires"} {
		if q.Get(name) == "" || len(q[name]) > 1 {
			return nil, malformedQuery("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, " +
				"X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	if q.Get("X-Amz-Algorithm") != algorithm {
		return nil, malformedQuery("X-Amz-Algorithm only supports %q", algorithm)
	}
	cred, err := v.parseCredential(q.Get("X-Amz-Credential"), malformedQueryCredential)
	if err != nil {
		return nil, err
	}
	if q.Get("X-Amz-Security-Token") != "" || r.Header.Get("X-Amz-Security-Token") != "" {
		return nil, invalidToken()
	}
	sig := &signature{cred: cred, value: q.Get("X-Amz-Signature"), presigned: true, payload: presignPayload(r, q)}
	sig.signed = strings.Split(strings.ToLower(q.Get("X-Amz-SignedHeaders")), ";")
	if err := v.validity(sig, q.Get("X-Amz-Date"), q.Get("X-Amz-Expires")); err != nil {
		return nil, err
	}
	return sig, nil
}

// presignPayload is what a presigned URL says of the body: nothing, unless the signer named a hash.
func presignPayload(r *http.Request, q url.Values) string {
	if s := q.Get("X-Amz-Content-Sha256"); s != "" {
		return s
	}
	if s := r.Header.Get("X-Amz-Content-Sha256"); s != "" {
		return s
	}
	return unsignedPayload
}

// validity judges the time for which a presigned URL holds.
func (v *Verifier) validity(sig *signature, date, expires string) error {
	at, err := time.Parse(stampFormat, date)
	if err != nil {
		return malformedQuery(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	if at.Format(dayFormat) != sig.cred.day {
		return malformedQuery("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", sig.cred.day, at.Format(dayFormat))
	}
	seconds, err := strconv.ParseInt(expires, 10, 64)
	switch {
	case err != nil:
		return malformedQuery("X-Amz-Expires should be a number")
	case seconds < 0:
		return malformedQuery("X-Amz-Expires must be non-negative")
	case seconds > int64(maxPresign/time.Second):
		return malformedQuery("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	sig.at = at
	now, until := v.now(), at.Add(time.Duration(seconds)*time.Second)
	switch {
	case at.Sub(now) > v.skew():
		return denied("Request is not valid yet")
	case now.After(until):
		e := denied("Request has expired")
		e.Details = []Detail{{"X-Amz-Expires", expires}, {"Expires", until.Format(time.RFC3339)}, {"ServerTime", now.UTC().Format(time.RFC3339)}}
		return e
	}
	return nil
}
