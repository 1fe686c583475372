package storage

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fado-project/fado/storage/internal/sums"
)

// The metadata that a stamp is.
const (
	metaPrefix = "X-Amz-Meta-" // of user metadata

	stampETag    = metaPrefix + "Fado-Source-Etag"
	stampVersion = metaPrefix + "Fado-Source-Version"
	stampModTime = metaPrefix + "Fado-Source-Mtime"
	stampSize    = metaPrefix + "Fado-Source-Size"
	stampKey     = metaPrefix + "Fado-Source-Key"
	stampAttrs   = metaPrefix + "Fado-Source-Attributes"
	stampPrefix  = metaPrefix + "Fado-Source-"
	// stampShort is all of it in a third of the space, for objects whose own metadata
	// leave no more.
	stampShort = metaPrefix + "Fado-Source"
)

// maxMetadata is how much user metadata an object may have, names and values (S3 User
// Guide, "Working with object metadata").
const maxMetadata = 2 << 10

// stampOf binds a stamp to the key it was made for: users' own server-side copies
// carry the metadata along, and are theirs.
func stampOf(bucket, key string) string {
	sum := sha256.Sum256([]byte(bucket + "/" + key))
	return hex.EncodeToString(sum[:8])
}

// parseStamp reads a stamp that was made for a key, and the token of the write that made it.
func parseStamp(h http.Header, bucket, key string) (s Source, token string, ok bool) {
	if short := h.Get(stampShort); short != "" {
		return parseShort(short, stampOf(bucket, key))
	}
	if h.Get(stampKey) != stampOf(bucket, key) {
		return s, "", false
	}
	s = Source{ETag: h.Get(stampETag), VersionID: h.Get(stampVersion), Attributes: h.Get(stampAttrs)}
	size, err := strconv.ParseInt(h.Get(stampSize), 10, 64)
	if err != nil || s.ETag == "" {
		return Source{}, "", false
	}
	s.Size = size
	s.ModTime, _ = time.Parse(time.RFC3339Nano, h.Get(stampModTime))
	return s, h.Get(stampToken), true
}

func setStamp(h http.Header, bucket, key string, s Source, token string) {
	if isNull(s.VersionID) {
		s.VersionID = ""
	}
	own := metadataSize(h)
	long := http.Header{}
	long.Set(stampETag, s.ETag)
	if s.VersionID != "" {
		long.Set(stampVersion, s.VersionID)
	}
	long.Set(stampModTime, s.ModTime.UTC().Format(time.RFC3339Nano))
	long.Set(stampSize, strconv.FormatInt(s.Size, 10))
	long.Set(stampKey, stampOf(bucket, key))
	long.Set(stampAttrs, s.Attributes)
	long.Set(stampToken, token)
	if own+metadataSize(long) > maxMetadata {
		h.Set(stampShort, shortStamp(s, stampOf(bucket, key), token))
		return
	}
	maps.Copy(h, long)
}

// metadataSize is what the user metadata take of maxMetadata. S3 counts the names without their
// prefix; MinIO counts it in.
func metadataSize(h http.Header) (n int) {
	for k, v := range h {
		if strings.HasPrefix(k, metaPrefix) {
			n += len(k) + len(strings.Join(v, ","))
		}
	}
	return n
}

func shortStamp(s Source, key, token string) string {
	etag, parts, _ := strings.Cut(s.ETag, "-")
	if !sums.IsMD5(etag) {
		etag, parts = s.ETag, ""
	}
	return strings.Join([]string{
		pack(etag), parts, pack(s.VersionID), strconv.FormatInt(s.ModTime.UnixNano(), 36),
		strconv.FormatInt(s.Size, 36), pack(key), pack(s.Attributes), token,
	}, ",")
}

func parseShort(short, key string) (s Source, token string, ok bool) {
	f := strings.Split(short, ",")
	if len(f) != 8 || unpack(f[5]) != key {
		return s, "", false
	}
	s = Source{ETag: unpack(f[0]), VersionID: unpack(f[2]), Attributes: unpack(f[6])}
	if f[1] != "" {
		s.ETag += "-" + f[1]
	}
	at, err := strconv.ParseInt(f[3], 36, 64)
	if err != nil || s.ETag == "" {
		return Source{}, "", false
	}
	s.ModTime = time.Unix(0, at).UTC()
	s.Size, err = strconv.ParseInt(f[4], 36, 64)
	return s, f[7], err == nil
}

// pack shortens hexadecimal numbers and UUIDs; unpack is its reverse.
func pack(s string) string {
	if b, err := hex.DecodeString(s); err == nil && hex.EncodeToString(b) == s {
		return "x" + base64.RawURLEncoding.EncodeToString(b)
	}
	if id, err := uuid.Parse(s); err == nil && id.String() == s {
		return "u" + base64.RawURLEncoding.EncodeToString(id[:])
	}
	return "=" + url.QueryEscape(s)
}

func unpack(s string) string {
	if s == "" {
		return ""
	}
	if plain, ok := strings.CutPrefix(s, "="); ok {
		plain, _ = url.QueryUnescape(plain)
		return plain
	}
	b, err := base64.RawURLEncoding.DecodeString(s[1:])
	if err != nil {
		return ""
	}
	if id, err := uuid.FromBytes(b); err == nil && s[0] == 'u' {
		return id.String()
	}
	return hex.EncodeToString(b)
}
