package caddymodule_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// wireWait bounds one request.
const wireWait = 10 * time.Second

func sendHTTP1(t testing.TB, w *wire, x rawRequest) rawAnswer {
	t.Helper()
	conn, err := tls.Dial("tcp", w.addr, w.tls("http/1.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(wireWait))
	var method, authority, path string
	var rest strings.Builder
	for _, f := range x.fields {
		switch f.name {
		case ":method":
			method = f.value
		case ":authority":
			authority = f.value
		case ":path":
			path = f.value
		case ":scheme", ":protocol":
		default:
			fmt.Fprintf(&rest, "%s: %s\r\n", f.name, f.value)
		}
	}
	if path == "" {
		path = authority // the authority form of CONNECT
	}
	if x.length {
		fmt.Fprintf(&rest, "Content-Length: %d\r\n", len(x.body))
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, path, authority, rest.String())
	if x.pause == 0 {
		_, _ = io.WriteString(conn, head+x.body)
	} else {
		_, _ = io.WriteString(conn, head)
		time.Sleep(x.pause)
		_, _ = io.WriteString(conn, x.body)
	}
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, &http.Request{Method: method})
	for err == nil && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		resp, err = http.ReadResponse(reader, &http.Request{Method: method})
	}
	if err != nil {
		return rawAnswer{}
	}
	defer resp.Body.Close()
	o := rawAnswer{status: resp.StatusCode, header: make(map[string]string)}
	for name, values := range resp.Header {
		o.header[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body)
		o.body = string(body)
	}
	return o
}

func sendHTTP2(t testing.TB, w *wire, x rawRequest) rawAnswer {
	t.Helper()
	conn, err := tls.Dial("tcp", w.addr, w.tls("h2"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(wireWait))
	// Frames that go together leave in one write.
	out := bufio.NewWriterSize(conn, 64<<10)
	framer := http2.NewFramer(out, conn)
	framer.AllowIllegalWrites = true
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, _ = out.WriteString(http2.ClientPreface)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: hpackBlock(x.fields), EndHeaders: true,
		EndStream: x.body == "" && len(x.trailer) == 0 && !x.open,
	})
	if x.pause > 0 {
		_ = out.Flush()
		time.Sleep(x.pause)
	}
	if x.body != "" {
		_ = framer.WriteData(1, len(x.trailer) == 0 && !x.open, []byte(x.body))
	}
	if len(x.trailer) > 0 {
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: hpackBlock(x.trailer), EndHeaders: true, EndStream: true})
	}
	_ = out.Flush()
	o := rawAnswer{header: make(map[string]string)}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return o
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = framer.WriteSettingsAck()
				_ = out.Flush()
			}
		case *http2.MetaHeadersFrame:
			for _, f := range frame.Fields {
				o.header[f.Name] = f.Value
			}
			o.status = atoi(o.header[":status"])
			if frame.StreamEnded() {
				return o
			}
		case *http2.DataFrame:
			o.body += string(frame.Data())
			if frame.StreamEnded() || x.open {
				return o
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return o
		}
	}
}

func hpackBlock(fields []field) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encoder.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	return block.Bytes()
}

func sendHTTP3(t testing.TB, w *wire, x rawRequest) rawAnswer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wireWait)
	defer cancel()
	conn, err := quic.DialAddr(ctx, w.addr, w.tls("h3"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseWithError(0, "") }()
	control, err := conn.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = control.Write([]byte{0x00, 0x04, 0x00}) // the control stream with empty settings
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.SetDeadline(time.Now().Add(wireWait))
	frames := http3Frame(0x01, qpackBlock(x.fields))
	if x.pause > 0 {
		_, _ = stream.Write(frames)
		time.Sleep(x.pause)
		frames = nil
	}
	if x.body != "" {
		frames = append(frames, http3Frame(0x00, []byte(x.body))...)
	}
	if len(x.trailer) > 0 {
		frames = append(frames, http3Frame(0x01, qpackBlock(x.trailer))...)
	}
	_, _ = stream.Write(frames)
	if !x.open {
		_ = stream.Close()
	}
	return readHTTP3(stream, x.open)
}

func readHTTP3(stream io.Reader, open bool) rawAnswer {
	o := rawAnswer{header: make(map[string]string)}
	reader := quicvarint.NewReader(bufio.NewReader(stream))
	for {
		kind, err := quicvarint.Read(reader)
		if err != nil {
			return o
		}
		length, err := quicvarint.Read(reader)
		if err != nil {
			return o
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(reader, payload); err != nil {
			return o
		}
		switch kind {
		case 0x00:
			o.body += string(payload)
			if open {
				return o
			}
		case 0x01:
			decode := qpack.NewDecoder().Decode(payload)
			for {
				f, err := decode()
				if err != nil {
					if !errors.Is(err, io.EOF) {
						return o
					}
					break
				}
				o.header[f.Name] = f.Value
			}
			o.status = atoi(o.header[":status"])
		}
	}
}

func qpackBlock(fields []field) []byte {
	var block bytes.Buffer
	encoder := qpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encoder.WriteField(qpack.HeaderField{Name: f.name, Value: f.value})
	}
	return block.Bytes()
}

func http3Frame(kind uint64, payload []byte) []byte {
	frame := quicvarint.Append(nil, kind)
	frame = quicvarint.Append(frame, uint64(len(payload)))
	return append(frame, payload...)
}
