package sigv4

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"
)

const (
	maxFields    = 20 << 10 // bytes of all fields of a form but its file, as at S3
	maxBeforeRaw = 64 << 10 // bytes of the body before the file's own, headers of parts and read-ahead included
	maxFieldList = 1000     // number of fields
)

// Form is an authenticated POST form (browser-based upload), read up to its file.
type Form struct {
	KeyID string
	// Fields are the fields before the file, by lower-case name; "key" has ${filename} replaced. What follows the file is
	// ignored, as S3 does.
	Fields map[string]string
	// FileName and ContentType are those of the file's part.
	FileName, ContentType string
	// File is the content. Its length is not known before its end: instead of io.EOF it returns an *Error if it is shorter
	// than the policy allows, longer than that or MaxBody, cut, or not what Content-MD5 or x-amz-checksum-* fields say.
	File io.Reader
}

// VerifyForm authenticates a POST of multipart/form-data to bucket by its signed policy, and holds the form against the
// policy. The error is an *Error, or ErrAnonymous if the form has no signature. It reads r.Body up to the file.
func (v *Verifier) VerifyForm(r *http.Request, bucket string) (*Form, error) {
	form, part, err := readForm(r)
	if err != nil {
		return nil, err
	}
	sig, err := v.parseForm(form.Fields)
	if err != nil {
		return nil, err
	}
	if _, err := v.checkString(sig, form.Fields["policy"]); err != nil {
		return nil, err
	}
	form.KeyID = sig.cred.keyID
	if form.Fields["key"] == "" {
		return nil, missingField("key")
	}
	form.Fields["key"] = strings.ReplaceAll(form.Fields["key"], "${filename}", form.FileName)
	p, err := parsePolicy(form.Fields["policy"])
	if err != nil {
		return nil, err
	}
	if err := p.check(v.now(), bucket, form.Fields); err != nil {
		return nil, err
	}
	digests, err := formDigests(form.Fields)
	if err != nil {
		return nil, err
	}
	form.File = &formFile{src: part, least: p.least, most: min(p.most, v.maxBody()), digests: digests}
	return form, nil
}

func malformedForm() *Error {
	return badRequest("MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
}

func missingField(name string) *Error {
	return invalidArgument(name, "", fmt.Sprintf("Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields.", name))
}

// readForm reads the fields up to the file, whose part it returns.
func readForm(r *http.Request) (*Form, io.Reader, error) {
	if r.Body == nil {
		return nil, nil, malformedForm()
	}
	raw := &budget{src: r.Body, left: maxBeforeRaw}
	limited := *r
	limited.Body = io.NopCloser(raw)
	parts, err := limited.MultipartReader()
	if err != nil {
		return nil, nil, malformedForm()
	}
	form := &Form{Fields: make(map[string]string)}
	for size := 0; ; {
		part, err := parts.NextRawPart()
		if err != nil {
			return nil, nil, formError(err)
		}
		name := strings.ToLower(part.FormName())
		if name == "file" {
			raw.left = math.MaxInt64
			form.FileName, form.ContentType = part.FileName(), part.Header.Get("Content-Type")
			return form, part, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, maxFields+1))
		if err != nil {
			return nil, nil, formError(err)
		}
		if size += len(name) + len(value); size > maxFields || len(form.Fields) >= maxFieldList {
			return nil, nil, largeForm()
		}
		if _, twice := form.Fields[name]; twice || name == "" {
			return nil, nil, malformedForm()
		}
		form.Fields[name] = string(value)
	}
}

func largeForm() *Error {
	return badRequest("MaxPostPreDataLengthExceededError", "Your POST request fields preceding the upload file were too large.")
}

// formError is why there is no further part.
func formError(err error) error {
	switch {
	case errors.Is(err, errBudget):
		return largeForm()
	case errors.Is(err, io.EOF):
		return invalidArgument("file", "", "POST requires exactly one file upload per request.")
	default:
		return malformedForm()
	}
}

var errBudget = errors.New("too many bytes before the file")

// budget bounds what is read before the file: headers of parts are part of it.
type budget struct {
	src  io.Reader
	left int64
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errBudget
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.src.Read(p)
	b.left -= int64(n)
	return n, err
}

// parseForm reads the signature of a form: of the policy, as it was sent.
func (v *Verifier) parseForm(fields map[string]string) (*signature, error) {
	names := []string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"}
	var missing []string
	for _, name := range names {
		if _, ok := fields[name]; !ok {
			missing = append(missing, name)
		}
	}
	_, version2 := fields["awsaccesskeyid"]
	switch {
	case version2 && len(missing) > 1:
		return nil, onlyVersion4()
	case len(missing) == len(names):
		return nil, ErrAnonymous
	case len(missing) > 0:
		return nil, missingField(missing[0])
	case fields["x-amz-algorithm"] != algorithm:
		return nil, invalidArgument("X-Amz-Algorithm", fields["x-amz-algorithm"], "Only AWS4-HMAC-SHA256 is supported")
	case fields["x-amz-security-token"] != "":
		return nil, invalidToken()
	}
	at, err := time.Parse(stampFormat, fields["x-amz-date"])
	if err != nil {
		return nil, invalidArgument("X-Amz-Date", fields["x-amz-date"], "X-Amz-Date must be formated via ISO8601 Long format")
	}
	value := fields["x-amz-credential"]
	cred, err := v.parseCredential(value, func(format string, args ...any) *Error {
		return invalidArgument("x-amz-credential", value, fmt.Sprintf(format, args...))
	})
	if err != nil {
		return nil, err
	}
	sig := &signature{cred: cred, value: fields["x-amz-signature"], at: at}
	return sig, v.formTime(sig)
}

// formTime judges when a form was signed. Until when it holds is the policy's to say, within the life of a signing key.
func (v *Verifier) formTime(sig *signature) error {
	now := v.now()
	switch {
	case sig.at.Format(dayFormat) != sig.cred.day:
		return invalidArgument("x-amz-credential", sig.cred.day, "Invalid credential date. Date is not the same as X-Amz-Date.")
	case sig.at.Sub(now) > v.skew():
		return denied("Request is not valid yet")
	case now.Sub(sig.at) > maxPresign:
		return policyExpired()
	}
	return nil
}

// formDigests returns what the fields say of the file.
func formDigests(fields map[string]string) ([]*digest, error) {
	h := make(http.Header)
	for name, value := range fields {
		if name == "content-md5" || strings.HasPrefix(name, checksumPrefix) {
			h.Set(name, value)
		}
	}
	digests, _, err := headerDigests(h)
	return digests, err
}

// formFile bounds and verifies the file of a form.
type formFile struct {
	src         io.Reader
	size        int64
	least, most int64
	digests     []*digest
	err         error
}

func (f *formFile) Read(p []byte) (int, error) {
	if f.err != nil || len(p) == 0 {
		return 0, f.err
	}
	n, err := f.src.Read(p)
	f.size += int64(n)
	for _, d := range f.digests {
		d.Write(p[:n])
	}
	switch {
	case f.size > f.most:
		f.err = tooLarge(f.size, f.most)
	case errors.Is(err, io.ErrUnexpectedEOF):
		f.err = cutBody()
	case errors.Is(err, io.EOF):
		f.err = f.end()
	default:
		f.err = err
	}
	if f.err != nil && !errors.Is(f.err, io.EOF) {
		return 0, f.err
	}
	return n, f.err
}

func (f *formFile) end() error {
	if f.size < f.least {
		return tooSmall(f.size, f.least)
	}
	for _, d := range f.digests {
		if err := d.verify(); err != nil {
			return err
		}
	}
	return io.EOF
}

func tooSmall(size, limit int64) *Error {
	return refuse(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size",
		Detail{"ProposedSize", fmt.Sprint(size)}, Detail{"MinSizeAllowed", fmt.Sprint(limit)})
}
