package edgetest

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

// WireWait bounds one request.
const WireWait = 10 * time.Second

// SendHTTP1 sends the request over HTTP/1.1, byte by byte as it says.
func SendHTTP1(t testing.TB, w *Wire, x RawRequest) RawAnswer {
	t.Helper()
	conn, err := (&tls.Dialer{Config: w.TLS("http/1.1")}).DialContext(t.Context(), "tcp", w.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(WireWait))
	var method, authority, path string
	var rest strings.Builder
	for _, f := range x.Fields {
		switch f[0] {
		case ":method":
			method = f[1]
		case ":authority":
			authority = f[1]
		case ":path":
			path = f[1]
		case ":scheme", ":protocol":
		default:
			fmt.Fprintf(&rest, "%s: %s\r\n", f[0], f[1])
		}
	}
	if path == "" {
		path = authority // the authority form of CONNECT
	}
	if x.Length {
		fmt.Fprintf(&rest, "Content-Length: %d\r\n", len(x.Body))
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, path, authority, rest.String())
	if x.Pause == 0 {
		_, _ = io.WriteString(conn, head+x.Body)
	} else {
		_, _ = io.WriteString(conn, head)
		time.Sleep(x.Pause)
		_, _ = io.WriteString(conn, x.Body)
	}
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, &http.Request{Method: method})
	for err == nil && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		resp, err = http.ReadResponse(reader, &http.Request{Method: method})
	}
	if err != nil {
		return RawAnswer{}
	}
	defer resp.Body.Close()
	o := RawAnswer{Status: resp.StatusCode, Header: make(map[string]string)}
	for name, values := range resp.Header {
		o.Header[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body)
		o.Body = string(body)
	}
	return o
}

// SendHTTP2 sends the request over HTTP/2, in frames of its own.
func SendHTTP2(t testing.TB, w *Wire, x RawRequest) RawAnswer {
	t.Helper()
	conn, err := (&tls.Dialer{Config: w.TLS("h2")}).DialContext(t.Context(), "tcp", w.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(WireWait))
	// Frames that go together leave in one write.
	out := bufio.NewWriterSize(conn, 64<<10)
	framer := http2.NewFramer(out, conn)
	framer.AllowIllegalWrites = true
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, _ = out.WriteString(http2.ClientPreface)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: hpackBlock(x.Fields), EndHeaders: true,
		EndStream: x.Body == "" && len(x.Trailer) == 0 && !x.Open,
	})
	if x.Pause > 0 {
		_ = out.Flush()
		time.Sleep(x.Pause)
	}
	if x.Body != "" {
		_ = framer.WriteData(1, len(x.Trailer) == 0 && !x.Open, []byte(x.Body))
	}
	if len(x.Trailer) > 0 {
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: hpackBlock(x.Trailer), EndHeaders: true, EndStream: true})
	}
	_ = out.Flush()
	o := RawAnswer{Header: make(map[string]string)}
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
				o.Header[f.Name] = f.Value
			}
			o.Status = atoi(o.Header[":status"])
			if frame.StreamEnded() {
				return o
			}
		case *http2.DataFrame:
			o.Body += string(frame.Data())
			if frame.StreamEnded() || x.Open {
				return o
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return o
		}
	}
}

func hpackBlock(fields []Field) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return block.Bytes()
}

func sendHTTP3(t testing.TB, w *Wire, x RawRequest) RawAnswer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), WireWait)
	defer cancel()
	conn, err := quic.DialAddr(ctx, w.Addr, w.TLS("h3"), nil)
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
	_ = stream.SetDeadline(time.Now().Add(WireWait))
	frames := http3Frame(0x01, qpackBlock(x.Fields))
	if x.Pause > 0 {
		_, _ = stream.Write(frames)
		time.Sleep(x.Pause)
		frames = nil
	}
	if x.Body != "" {
		frames = append(frames, http3Frame(0x00, []byte(x.Body))...)
	}
	if len(x.Trailer) > 0 {
		frames = append(frames, http3Frame(0x01, qpackBlock(x.Trailer))...)
	}
	_, _ = stream.Write(frames)
	if !x.Open {
		_ = stream.Close()
	}
	return readHTTP3(stream, x.Open)
}

func readHTTP3(stream io.Reader, open bool) RawAnswer {
	o := RawAnswer{Header: make(map[string]string)}
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
			o.Body += string(payload)
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
				o.Header[f.Name] = f.Value
			}
			o.Status = atoi(o.Header[":status"])
		}
	}
}

func qpackBlock(fields []Field) []byte {
	var block bytes.Buffer
	encoder := qpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encoder.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return block.Bytes()
}

func http3Frame(kind uint64, payload []byte) []byte {
	frame := quicvarint.Append(nil, kind)
	frame = quicvarint.Append(frame, uint64(len(payload)))
	return append(frame, payload...)
}
