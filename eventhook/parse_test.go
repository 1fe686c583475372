package eventhook

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fado-project/fado/replication"
)

// awsRecord is one record as S3 sends it (event message structure 2.1), shortened.
const awsRecord = `{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-west-2","eventTime":"1970-01-01T00:00:00.000Z",` +
	`"eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0","bucket":{"name":"photos","arn":"arn:aws:s3:::photos"},` +
	`"object":{"key":"2024/happy+face%2B%C3%A4.jpg","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e","sequencer":"0055AED6DCD90281E5"}}}`

const minioEvent = `{"EventName":"s3:ObjectCreated:Put","Key":"photos/a b.jpg","Records":[{"eventVersion":"2.0","eventSource":"minio:s3",` +
	`"s3":{"bucket":{"name":"photos"},"object":{"key":"a+b.jpg","size":3}}}]}`

const eventBridge = `{"version":"0","id":"17793124","detail-type":"Object Created","source":"aws.s3","region":"ca-central-1",` +
	`"detail":{"version":"0","bucket":{"name":"photos"},"object":{"key":"a+b%20c","size":5,"etag":"b1946ac92492d2347c6235b4d2611184"},"reason":"PutObject"}}`

func cloudEvent(data string) string {
	return `{"specversion":"1.0","type":"com.amazonaws.s3.objectcreated.put","source":"aws:s3","id":"1","datacontenttype":"application/json","data":` + data + `}`
}

func TestParseUnderstands(t *testing.T) {
	face := replication.Hint{
		Physical: "photos", Key: "2024/happy face+ä.jpg", Size: 1024,
		Or: []string{"2024/happy+face+ä.jpg", "2024/happy+face%2B%C3%A4.jpg"},
	}
	plain := replication.Hint{Physical: "photos", Key: "a+b%20c", Size: 5}
	for name, tc := range map[string]struct {
		header http.Header
		body   string
		want   []replication.Hint
	}{
		"S3 records":                     {body: `{"Records":[` + awsRecord + `,` + awsRecord + `]}`, want: []replication.Hint{face, face}},
		"S3 without records":             {body: `{"Records":[]}`, want: []replication.Hint{}},
		"one S3 record":                  {body: awsRecord, want: []replication.Hint{face}},
		"S3 test event":                  {body: `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T15:57:02.089Z","Bucket":"photos"}`},
		"MinIO webhook":                  {body: minioEvent, want: []replication.Hint{{Physical: "photos", Key: "a b.jpg", Or: []string{"a+b.jpg"}, Size: 3}}},
		"MinIO webhook, key only":        {body: `{"EventName":"s3:ObjectRemoved:Delete","Key":"photos/dir/a b+c.jpg"}`, want: []replication.Hint{{Physical: "photos", Key: "dir/a b+c.jpg"}}},
		"EventBridge, key not encoded":   {body: eventBridge, want: []replication.Hint{plain}},
		"a key that does not decode":     {body: strings.Replace(awsRecord, "2024/happy+face%2B%C3%A4.jpg", "100%", 1), want: []replication.Hint{{Physical: "photos", Key: "100%", Size: 1024}}},
		"a key that is encoded twice":    {body: keyed("x%252Fy"), want: []replication.Hint{{Physical: "photos", Key: "x%2Fy", Or: []string{"x%252Fy"}, Size: 1024}}},
		"a key that is UTF-8 as it is":   {body: keyed("x%C3"), want: []replication.Hint{{Physical: "photos", Key: "x%C3", Size: 1024}}},
		"a plain key":                    {body: keyed("x/y-z_1.jpg"), want: []replication.Hint{{Physical: "photos", Key: "x/y-z_1.jpg", Size: 1024}}},
		"space and line end around":      {body: " \n" + minioEvent + "\r\n", want: []replication.Hint{{Physical: "photos", Key: "a b.jpg", Or: []string{"a+b.jpg"}, Size: 3}}},
		"a negative size counts nothing": {body: strings.Replace(awsRecord, "1024", "-1", 1), want: []replication.Hint{{Physical: "photos", Key: face.Key, Or: face.Or}}},
		"a size as a string":             {body: sized(`"1024"`), want: []replication.Hint{face}},
		"a size as a float":              {body: sized(`1.024e3`), want: []replication.Hint{face}},
		"no size": {body: `{"Records":[` + sized(`null`) + `,` + sized(`""`) + `]}`, want: []replication.Hint{
			{Physical: "photos", Key: face.Key, Or: face.Or}, {Physical: "photos", Key: face.Key, Or: face.Or},
		}},
		"structured CloudEvent": {
			header: contentType("application/cloudevents+json; charset=utf-8"),
			body:   cloudEvent(awsRecord), want: []replication.Hint{face},
		},
		"structured, sent as plain JSON": {header: contentType("application/json"), body: cloudEvent(`{"Records":[` + awsRecord + `]}`), want: []replication.Hint{face}},
		"structured, EventBridge's detail": {
			header: contentType("application/cloudevents+json"),
			body:   cloudEvent(`{"bucket":{"name":"photos"},"object":{"key":"a+b%20c","size":5}}`), want: []replication.Hint{plain},
		},
		"structured, data in base64": {
			header: contentType("application/cloudevents+json"),
			body:   `{"specversion":"1.0","type":"t","source":"s","id":"1","data_base64":"eyJidWNrZXQiOnsibmFtZSI6InBob3RvcyJ9LCJvYmplY3QiOnsia2V5IjoiayJ9fQ=="}`,
			want:   []replication.Hint{{Physical: "photos", Key: "k"}},
		},
		"structured, data as a string": {
			header: contentType("application/cloudevents+json"),
			body:   cloudEvent(`"{\"bucket\":{\"name\":\"photos\"},\"object\":{\"key\":\"k\"}}"`),
			want:   []replication.Hint{{Physical: "photos", Key: "k"}},
		},
		"batch": {
			header: contentType("application/cloudevents-batch+json"),
			body:   `[` + cloudEvent(awsRecord) + `,` + cloudEvent(eventBridge) + `]`, want: []replication.Hint{face, plain},
		},
		"empty batch": {header: contentType("application/cloudevents-batch+json"), body: `[]`},
		"binary CloudEvent": {
			header: http.Header{"Ce-Specversion": {"1.0"}, "Ce-Type": {"t"}, "Content-Type": {"application/json"}},
			body:   `{"Records":[` + awsRecord + `]}`, want: []replication.Hint{face},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(tc.header, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// sized is a record with a size.
func sized(json string) string { return strings.Replace(awsRecord, "1024", json, 1) }

// keyed is a record of a key.
func keyed(key string) string {
	return strings.Replace(awsRecord, "2024/happy+face%2B%C3%A4.jpg", key, 1)
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		contentType, body, want string
	}{
		"nothing":                    {body: "", want: "empty"},
		"not JSON":                   {body: "hello", want: "expected an S3 event"},
		"XML":                        {body: "<xml/>", want: "expected an S3 event"},
		"JSON of something else":     {body: `{"foo":1}`, want: "expected an S3 event"},
		"null":                       {body: `null`, want: "expected an S3 event"},
		"records of the wrong type":  {body: `{"Records":7}`, want: "expected an S3 event"},
		"a record without s3":        {body: `{"Records":[{}]}`, want: "record 0 has no s3"},
		"no bucket":                  {body: `{"Records":[{"s3":{"object":{"key":"k"}}}]}`, want: "bucket.name is missing"},
		"no key":                     {body: `{"Records":[{"s3":{"bucket":{"name":"b"}}}]}`, want: "object.key is missing"},
		"one bad record among good":  {body: `{"Records":[` + awsRecord + `,{}]}`, want: "record 1"},
		"a key too long":             {body: strings.Replace(eventBridge, "a+b%20c", strings.Repeat("k", maxKey+1), 1), want: "at most 1024"},
		"a size that is none":        {body: `{"Records":[` + awsRecord + `,` + sized(`"big"`) + `]}`, want: `record 1: object.size is "big": expected the bytes`},
		"a size of another type":     {body: sized(`{"b":1}`), want: `record 0: object.size is {"b":1}: expected`},
		"half a byte":                {body: sized(`0.5`), want: `object.size is 0.5: expected`},
		"MinIO's key without object": {body: `{"Key":"photos"}`, want: "object.key is missing"},
		"CloudEvent without version": {contentType: "application/cloudevents+json", body: `{"data":{}}`, want: "specversion"},
		"CloudEvent without data":    {contentType: "application/cloudevents+json", body: `{"specversion":"1.0"}`, want: "without data"},
		"CloudEvent of another kind": {contentType: "application/cloudevents+json", body: cloudEvent(`{"temperature":20}`), want: "expected an S3 event"},
		"CloudEvent, broken base64":  {contentType: "application/cloudevents+json", body: `{"specversion":"1.0","data_base64":"?"}`, want: "data_base64"},
		"a batch that is no array":   {contentType: "application/cloudevents-batch+json", body: `{}`, want: "JSON array"},
		"a batch that is null":       {contentType: "application/cloudevents-batch+json", body: `null`, want: "JSON array"},
		"one bad event of a batch":   {contentType: "application/cloudevents-batch+json", body: `[` + cloudEvent(awsRecord) + `,{}]`, want: "event 1 of the batch"},
	} {
		t.Run(name, func(t *testing.T) {
			hints, err := parse(contentType(tc.contentType), []byte(tc.body))
			if err == nil {
				t.Fatalf("accepted: %+v", hints)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not contain %q", err, tc.want)
			}
		})
	}
}

// FuzzParse holds that no body makes the parser fail otherwise than by an error, and
// that every hint it gives names a key that S3 allows.
func FuzzParse(f *testing.F) {
	for _, media := range []string{"", "application/cloudevents+json", "application/cloudevents-batch+json"} {
		for _, body := range []string{awsRecord, minioEvent, eventBridge, cloudEvent(awsRecord), `[` + cloudEvent(eventBridge) + `]`, `{"Event":"s3:TestEvent"}`, `[]`, `"x"`} {
			f.Add(media, body)
		}
	}
	f.Fuzz(func(t *testing.T, media, body string) {
		hints, err := parse(contentType(media), []byte(body))
		if err != nil && hints != nil {
			t.Errorf("hints %+v beside the error %v", hints, err)
		}
		for _, h := range hints {
			if h.Physical == "" || h.Key == "" || len(h.Key) > maxKey || !utf8.ValidString(h.Key) || h.Size < 0 {
				t.Errorf("hint %+v", h)
			}
		}
	})
}

func contentType(media string) http.Header {
	if media == "" {
		return http.Header{}
	}
	return http.Header{"Content-Type": {media}}
}
