package catalog

import (
	"strconv"
	"strings"
	"unicode"
)

// storageChecker checks the storage of a cluster. Its in is nil where other clusters are not to be
// looked up.
type storageChecker struct {
	*violations
	in Lookup
}

// storage checks a cluster's storage, and that no other cluster has the same.
func (c storageChecker) storage(cl *Cluster) {
	s := cl.Storage
	u, problem := parseHTTP(s.Endpoint)
	if problem == "" && u.Path != "" && u.Path != "/" {
		problem = wantURL + " without a path"
	}
	if problem != "" {
		c.add("storage.endpoint", redactURL(s.Endpoint), problem)
	}
	if s.AccessKey == "" && s.SecretKey != "" {
		c.add("storage.access_key", "", "an access key beside the secret key, or neither")
	}
	if s.AccessKey != "" && s.SecretKey == "" {
		c.add("storage.secret_key", "", "a secret key beside the access key, or neither")
	}
	if strings.ContainsFunc(s.Region, func(r rune) bool { return r == '/' || unicode.IsSpace(r) || unicode.IsControl(r) }) {
		c.add("storage.region", s.Region, "a region such as us-east-1, without spaces or slashes")
	}
	if s.Capacity < 0 {
		c.add("storage.capacity", strconv.FormatInt(int64(s.Capacity), 10), wantSize)
	}
	if s.Bandwidth < 0 {
		c.add("storage.bandwidth", strconv.FormatInt(int64(s.Bandwidth), 10), "a rate above 0 such as 200MiB, in bytes per second")
	}
	prefixOK := c.bucketPrefix(s.BucketPrefix)
	if problem == "" && prefixOK && c.in != nil {
		physical{out: c.violations, in: c.in}.sharing(cl)
	}
}

// bucketPrefix checks that prefix and name together can name a bucket, for the
// shortest of names at least.
func (c storageChecker) bucketPrefix(prefix string) bool {
	const most = maxBucketName - minBucketName
	if len(prefix) > most {
		c.add("storage.bucket_prefix", prefix, "at most 60 characters, so that a bucket's name fits behind them into 63")
		return false
	}
	if !ValidBucketName(prefix + "aaa") {
		c.add("storage.bucket_prefix", prefix, "what a bucket name can begin with: lower-case letters, digits, dots and hyphens, "+
			"beginning with a letter or digit, no two dots in a row, and nothing S3 reserves")
		return false
	}
	return true
}
