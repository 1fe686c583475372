package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// An object that is much larger than what the endpoint may take of memory.
const (
	hugeObject   = 10 << 30
	hugeClients  = 64
	hugeReading  = 20 * time.Second // for as long the whole object is read by each client
	mostS3Memory = 300              // MiB
)

// huge is what Caddy takes while an object of 10 GiB goes up and down: in parts and ranges by many
// clients at once, and as a whole to each of them.
func huge(ctx context.Context, e *env) (string, error) {
	s := &s3bench{e: e}
	if err := s.start(ctx); err != nil {
		return "", err
	}
	defer s.stop()
	size, reading := int64(hugeObject), hugeReading
	if os.Getenv(largeEnv) == "off" || e.quick {
		size, reading = size/64, reading/10
	}
	resting, _, err := s.caddy.rss()
	if err != nil {
		return "", err
	}
	var rows [][]string
	for _, step := range []struct {
		title string
		do    func() (int64, error)
	}{
		{fmt.Sprintf("written in %d parts by as many clients", hugeClients), func() (int64, error) { return size, s.hugeUp(ctx, size) }},
		{fmt.Sprintf("read in %d ranges by as many clients", hugeClients), func() (int64, error) { return size, s.hugeDown(ctx, size) }},
		{fmt.Sprintf("read as a whole by %d clients at once, for %s", hugeClients, reading), func() (int64, error) { return s.hugeWhole(ctx, reading) }},
	} {
		began := time.Now()
		n, err := step.do()
		if err != nil {
			return "", fmt.Errorf("%s: %w", step.title, err)
		}
		took := time.Since(began).Seconds()
		now, peak, err := s.caddy.rss()
		if err != nil {
			return "", err
		}
		rows = append(rows, []string{
			step.title, fmt.Sprintf("%d", n>>20), fmt.Sprintf("%.0f", float64(n>>20)/took), fmt.Sprint(now), bar(peak <= mostS3Memory, fmt.Sprint(peak)),
		})
	}
	return fmt.Sprintf("An object of %d MiB through `fado_s3`, which begins at %d MiB resident. To reach, with an object of 10 GiB: ≤ %d MiB.\n\n", size>>20, resting, mostS3Memory) +
		table([]string{"the object is", "MiB that passed", "MiB/s", "resident at its end, MiB", "at the highest so far, MiB"}, rows), nil
}

// hugeUp writes the object in parts, all at once.
func (s *s3bench) hugeUp(ctx context.Context, size int64) error {
	w, part := s.ways[2], size/hugeClients
	var begun struct {
		UploadID string `xml:"UploadId"`
	}
	answer, err := s3Exchange(w.request(ctx, http.MethodPost, "huge?uploads=", nil, 0), nil)
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(answer, &begun); err != nil {
		return err
	}
	etags := make([]string, hugeClients)
	err = parallel(hugeClients, hugeClients, func(i int) error {
		key := fmt.Sprintf("huge?partNumber=%d&uploadId=%s", i+1, begun.UploadID)
		_, err := s3Exchange(w.request(ctx, http.MethodPut, key, io.LimitReader(zeros{}, part), part), func(h http.Header) { etags[i] = h.Get("Etag") })
		return err
	})
	if err != nil {
		return err
	}
	var doc strings.Builder
	for i, etag := range etags {
		fmt.Fprintf(&doc, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, etag)
	}
	body := "<CompleteMultipartUpload>" + doc.String() + "</CompleteMultipartUpload>"
	_, err = s3Exchange(w.request(ctx, http.MethodPost, "huge?uploadId="+begun.UploadID, bytes.NewReader([]byte(body)), int64(len(body))), nil)
	return err
}

// s3Exchange makes a request that must succeed, and returns the body of its answer.
func s3Exchange(req *http.Request, look func(http.Header)) ([]byte, error) {
	resp, err := s3Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if look != nil {
		look(resp.Header)
	}
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, b)
	}
	return b, err
}

// hugeDown reads the object in ranges, all at once.
func (s *s3bench) hugeDown(ctx context.Context, size int64) error {
	part := size / hugeClients
	return parallel(hugeClients, hugeClients, func(i int) error {
		req := s.ways[2].request(ctx, http.MethodGet, "huge", nil, 0)
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", int64(i)*part, int64(i+1)*part-1))
		resp, err := s3Client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && (resp.StatusCode != http.StatusPartialContent || n != part) {
			err = fmt.Errorf("status %d, %d bytes", resp.StatusCode, n)
		}
		return err
	})
}

// hugeWhole has every client read all of the object, as far as it comes, and returns how much
// they read.
func (s *s3bench) hugeWhole(ctx context.Context, reading time.Duration) (int64, error) {
	until, cancel := context.WithTimeout(ctx, reading)
	defer cancel()
	var read atomic.Int64
	err := parallel(hugeClients, hugeClients, func(int) error {
		resp, err := s3Client.Do(s.ways[2].request(until, http.MethodGet, "huge", nil, 0))
		if err == nil {
			var n int64
			n, err = io.Copy(io.Discard, resp.Body)
			read.Add(n)
			err = errors.Join(err, ok(resp.StatusCode, nil), resp.Body.Close())
		}
		if until.Err() != nil && ctx.Err() == nil {
			return nil // it was long enough
		}
		return err
	})
	return read.Load(), err
}
