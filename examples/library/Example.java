// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

import cmek.Cmek;
import cmek.CmekException;
import cmek.Options;
import cmek.SealedOutput;
import cmek.Zone;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * What a Java program does with the package cmek, a function for each way (docs/library.md); example.c has the words. The exit
 * status is 1 where the library says no.
 */
final class Example {
    static Cmek client;
    static Zone zone;

    static void message(String text) throws IOException {
        byte[] sealed = zone.seal(text.getBytes(StandardCharsets.UTF_8), Options.name("orders/1"));
        System.out.println(new String(client.unseal(sealed, Options.name("orders/1")), StandardCharsets.UTF_8));
    }

    static void file(String from, String to) throws IOException {
        zone.sealFile(Path.of(from), Path.of(to), Options.NONE.replacing());
    }

    static void stream() throws IOException {
        try (SealedOutput out = zone.outputStream(System.out, Options.NONE)) {
            System.in.transferTo(out);
            out.finish();
        }
    }

    static void range(String from, long offset) throws IOException {
        try (FileChannel sealed = FileChannel.open(Path.of(from)); SeekableByteChannel plain = client.channel(sealed, Options.NONE)) {
            ByteBuffer part = ByteBuffer.allocate(100);
            plain.position(offset).read(part);
            System.out.write(part.array(), 0, part.position());
        }
    }

    /** An object behind an address. */
    static final class Remote implements SeekableByteChannel {
        private final HttpClient http = HttpClient.newHttpClient();
        private final URI address;
        private long position;

        Remote(String address) {
            this.address = URI.create(address);
        }

        private HttpResponse<byte[]> get(long first, long last) throws IOException {
            try {
                HttpRequest request = HttpRequest.newBuilder(address).header("Range", "bytes=" + first + "-" + last).build();
                return http.send(request, HttpResponse.BodyHandlers.ofByteArray());
            } catch (InterruptedException error) {
                throw new IOException(error);
            }
        }

        @Override
        public int read(ByteBuffer out) throws IOException {
            byte[] data = get(position, position + out.remaining() - 1).body();
            out.put(data);
            position += data.length;
            return data.length;
        }

        @Override
        public long size() throws IOException {
            String range = get(0, 0).headers().firstValue("Content-Range").orElseThrow();
            return Long.parseLong(range.substring(range.indexOf('/') + 1));
        }

        @Override
        public SeekableByteChannel position(long at) {
            position = at;
            return this;
        }

        @Override
        public long position() {
            return position;
        }

        @Override
        public int write(ByteBuffer data) {
            throw new UnsupportedOperationException();
        }

        @Override
        public SeekableByteChannel truncate(long size) {
            throw new UnsupportedOperationException();
        }

        @Override
        public boolean isOpen() {
            return true;
        }

        @Override
        public void close() { }
    }

    static void object(String address, long offset) throws IOException {
        try (SeekableByteChannel plain = client.channel(new Remote(address), Options.NONE)) {
            ByteBuffer part = ByteBuffer.allocate(100);
            plain.position(offset).read(part);
            System.out.write(part.array(), 0, part.position());
        }
    }

    static void lines() throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null;) {
            try {
                System.out.println("sealed " + zone.seal(line.getBytes(StandardCharsets.UTF_8)).length);
            } catch (CmekException error) {
                System.out.println((error.mayPass() ? "try again " : "stop ") + error.getMessage() + " [" + error.requestId() + "]");
            }
        }
    }

    static void open(String from, String to) throws IOException {
        client.unsealFile(Path.of(from), Path.of(to), Options.NONE.replacing());
    }

    public static void main(String[] words) throws IOException {
        try (Cmek here = Cmek.open()) {
            client = here;
            zone = here.zone(words[1]);
            switch (words[0]) {
                case "message" -> message(words[2]);
                case "file" -> file(words[2], words[3]);
                case "stream" -> stream();
                case "range" -> range(words[2], Long.parseLong(words[3]));
                case "object" -> object(words[2], Long.parseLong(words[3]));
                case "lines" -> lines();
                case "open" -> open(words[2], words[3]);
                default -> throw new IOException("there is no way " + words[0]);
            }
            System.out.flush();
        } catch (IOException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
    }

    private Example() {}
}
