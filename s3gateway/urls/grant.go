package urls

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
)

// SystemKey names the access key that the keys of URLs are derived from. It is made when it is
// needed first, and signs nothing itself.
const SystemKey = "fado-urls"

const (
	idPrefix = SystemKey + "."
	idParts  = 4

	modeRead  = "r"
	modeWrite = "w"

	dayFormat = "20060102"
	// maxExpiry is how long a URL can hold by Signature Version 4.
	maxExpiry = 7 * 24 * time.Hour
	// lasts is how long after its day a key is good: as long as a URL may hold, and the day itself.
	lasts = maxExpiry + 24*time.Hour
	// early is how long before its day a key is good at an instance whose clock is behind.
	early = time.Hour
)

// Grant is what the key of a URL allows.
type Grant struct {
	Bucket string
	// Write says that the request may change something.
	Write bool
	// Origin is that of the page that makes the request, for browsers; "" for none.
	Origin string
	// Day is the day (UTC) of the key: each has others.
	Day time.Time
}

// ID is the access key ID that stands in URLs: it says what the key allows.
func (g Grant) ID() string {
	mode := modeRead
	if g.Write {
		mode = modeWrite
	}
	return idPrefix + strings.Join([]string{g.Day.UTC().Format(dayFormat), mode, encode(g.Bucket), encode(g.Origin)}, ".")
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// ParseID reads an access key ID; ok is false where it is not one of a URL.
func ParseID(id string) (g Grant, ok bool) {
	rest, ok := strings.CutPrefix(id, idPrefix)
	parts := strings.Split(rest, ".")
	if !ok || len(parts) != idParts {
		return Grant{}, false
	}
	day, err := time.Parse(dayFormat, parts[0])
	bucket, err2 := base64.RawURLEncoding.DecodeString(parts[2])
	origin, err3 := base64.RawURLEncoding.DecodeString(parts[3])
	if err != nil || err2 != nil || err3 != nil || len(bucket) == 0 || parts[1] != modeRead && parts[1] != modeWrite {
		return Grant{}, false
	}
	g = Grant{Bucket: string(bucket), Write: parts[1] == modeWrite, Origin: string(origin), Day: day}
	return g, g.ID() == id
}

// Key derives the grant's access key. It may do no more than the system key may; nil where that is
// nothing.
func (g Grant) Key(system *catalog.Key) *catalog.Key {
	if !g.within(system) {
		return nil
	}
	expires := g.Day.UTC().Truncate(24 * time.Hour).Add(lasts)
	if !system.Expires.IsZero() && system.Expires.Before(expires) {
		expires = system.Expires
	}
	id := g.ID()
	return &catalog.Key{
		Name: id, Secret: secretOf(system.Secret, id), Buckets: []string{g.Bucket}, ReadOnly: !g.Write || system.ReadOnly, Expires: expires,
	}
}

// within reports whether the system key allows anything of what the grant is for.
func (g Grant) within(system *catalog.Key) bool {
	// A bucket's name has no character that stands for others in a pattern.
	return system != nil && system.Allows(g.Bucket) && !strings.ContainsAny(g.Bucket, `*?[\`)
}

// Begun reports whether the day of the grant has begun, as far as clocks agree.
func (g Grant) Begun(now time.Time) bool { return !now.Add(early).Before(g.Day) }

func secretOf(system, id string) string {
	h := hmac.New(sha256.New, []byte(system))
	h.Write([]byte("fado url key\n" + id))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
