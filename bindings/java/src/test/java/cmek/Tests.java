// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
package cmek;

import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;

/** The Java package on libcmek. tests/bindings/java.sh made the projects and databases. Prints TAP. */
final class Tests {
    private static final int CHUNK = 65536;
    private static int count;
    private static int failed;

    private Tests() {}

    interface Work {
        Object run() throws Exception;
    }

    private static void check(boolean good, String sentence) {
        count++;
        failed += good ? 0 : 1;
        System.out.println((good ? "ok " : "not ok ") + count + " - " + sentence);
    }

    private static Throwable raised(Class<? extends Throwable> kind, String sentence, Work work) {
        try {
            check(false, sentence + " (it answers " + work.run() + ")");
            return null;
        } catch (Throwable error) {
            check(kind.isInstance(error), sentence);
            if (!kind.isInstance(error)) {
                System.out.println("# " + error);
            }
            return error;
        }
    }

    private static byte[] sample(int length) {
        byte[] data = new byte[length];
        for (int i = 0; i < length; i++) {
            data[i] = (byte) (i * 7 + i / 251);
        }
        return data;
    }

    private static byte[] sealed(Zone zone, byte[] data, int piece) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (SealedOutput stream = zone.outputStream(out, Options.NONE)) {
            for (int at = 0; at < data.length; at += piece) {
                stream.write(data, at, Math.min(piece, data.length - at));
            }
            stream.finish();
        }
        return out.toByteArray();
    }

    private static void messages(Cmek client, Zone zone) throws Exception {
        for (int length : new int[] {0, 5, CHUNK + 5}) {
            check(Arrays.equals(client.unseal(zone.seal(sample(length))), sample(length)), length + " bytes come back");
        }
        byte[] sealed = zone.seal(sample(7), Options.name("orders/1"));
        check(Arrays.equals(client.unseal(sealed, Options.name("orders/1").of(zone)), sample(7)), "with the name that was bound they do");
        raised(CmekException.class, "by another name they do not", () -> client.unseal(sealed, Options.name("orders/2")));
        raised(CmekException.class, "nor without one", () -> client.unseal(sealed));
        Zone other = client.zone("acme:prod/users");
        raised(CmekException.Refused.class, "nor where another zone's are wanted", () -> client.unseal(sealed, Options.name("orders/1").of(other)));
        byte[] changed = sealed.clone();
        changed[changed.length - 1] ^= 1;
        raised(CmekException.Damaged.class, "nor when they were changed", () -> client.unseal(changed, Options.name("orders/1")));
        raised(CmekException.NotAnEnvelope.class, "plain text is no envelope", () -> client.unseal(new byte[] {1, 2, 3}));
        Throwable error = raised(CmekException.NotFound.class, "a database that is not there", () -> client.zone("prod/nowhere"));
        check(error.getMessage().contains("prod/nowhere") && !((CmekException) error).mayPass(), "is named");
        Zone again = client.zone(Long.toString(zone.id()));
        check(again.name().equals("prod/orders") && again.project().equals("acme"), "a zone is found by its id");
    }

    private static void streams(Cmek client, Zone zone) throws Exception {
        for (int length : new int[] {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 9}) {
            byte[] data = sample(length), sealed = sealed(zone, data, 40001);
            try (InputStream in = client.inputStream(new ByteArrayInputStream(sealed), Options.NONE)) {
                check(Arrays.equals(in.readAllBytes(), data), "a stream of " + length + " bytes comes back");
            }
            check(Arrays.equals(client.unseal(sealed), data), "in memory too");
        }
        byte[] sealed = sealed(zone, sample(2 * CHUNK), CHUNK);
        byte[] cut = Arrays.copyOf(sealed, sealed.length - CHUNK - 16);
        raised(CmekException.Damaged.class, "a stream that was cut off at a chunk is damaged",
                () -> client.inputStream(new ByteArrayInputStream(cut), Options.NONE).readAllBytes());
        ByteArrayOutputStream part = new ByteArrayOutputStream();
        SealedOutput stream = zone.outputStream(part, Options.NONE);
        stream.write(sample(10));
        stream.abandon();
        raised(IOException.class, "one that was abandoned takes nothing more", () -> {
            stream.write(1);
            return null;
        });
        raised(CmekException.Damaged.class, "and does not open",
                () -> client.inputStream(new ByteArrayInputStream(part.toByteArray()), Options.NONE).readAllBytes());
        Throwable error = raised(IOException.class, "what one's own stream throws comes out", () -> zone.outputStream(new Full(null, 0), Options.NONE));
        check("full".equals(error.getMessage()), "as it is");
    }

    /** A disk that is full once, when it has so much. */
    private static final class Full extends OutputStream {
        private final ByteArrayOutputStream to;
        private int room;

        Full(ByteArrayOutputStream to, int room) {
            this.to = to;
            this.room = room;
        }

        @Override
        public void write(int one) throws IOException {
            write(new byte[] {(byte) one}, 0, 1);
        }

        @Override
        public void write(byte[] data, int offset, int length) throws IOException {
            if (room < length) {
                room = Integer.MAX_VALUE;
                throw new IOException("full");
            }
            room -= length;
            to.write(data, offset, length);
        }
    }

    private static boolean opens(Cmek client, ByteArrayOutputStream sealed) {
        try {
            client.unseal(sealed.toByteArray());
            return true;
        } catch (CmekException.Damaged error) {
            return false;
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Nothing is whole unless finish() was called. */
    private static void halves(Cmek client, Zone zone) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        Throwable error = raised(ArithmeticException.class, "an exception passes a stream in try-with-resources", () -> {
            try (SealedOutput stream = zone.outputStream(out, Options.NONE)) {
                stream.write(sample(2 * CHUNK + 9));
                return 1 / (stream.hashCode() - stream.hashCode());
            }
        });
        check(!opens(client, out), "and what was written by then does not open");
        check(error.getSuppressed().length == 1, "with what close has to say beside it");
        out.reset();
        error = raised(IllegalStateException.class, "finish is not forgotten in silence", () -> {
            try (SealedOutput stream = zone.outputStream(out, Options.NONE)) {
                stream.write(sample(10));
                return null;
            }
        });
        check(error.getMessage().contains("finish()") && !opens(client, out), "and without it there is nothing to open");
        out.reset();
        raised(IllegalStateException.class, "nor where another stream closes it", () -> {
            try (OutputStream around = new BufferedOutputStream(zone.outputStream(out, Options.NONE))) {
                around.write(sample(10));
                return null;
            }
        });
        check(!opens(client, out), "which is not whole then");
        out.reset();
        try (SealedOutput stream = zone.outputStream(out, Options.NONE)) {
            ZipOutputStream zip = new ZipOutputStream(stream);
            zip.putNextEntry(new ZipEntry("a"));
            zip.write(sample(CHUNK));
            zip.finish();
            stream.finish();
            stream.finish();
            raised(IOException.class, "after finish nothing more is taken", () -> {
                stream.write(1);
                return null;
            });
        }
        try (ZipInputStream zip = new ZipInputStream(client.inputStream(new ByteArrayInputStream(out.toByteArray()), Options.NONE))) {
            check(zip.getNextEntry() != null && Arrays.equals(zip.readAllBytes(), sample(CHUNK)), "a ZIP that was finished comes back");
        }
        ByteArrayOutputStream part = new ByteArrayOutputStream();
        SealedOutput failed = zone.outputStream(new Full(part, CHUNK), Options.NONE);
        raised(IOException.class, "a write fails", () -> {
            failed.write(sample(5 * CHUNK));
            return null;
        });
        raised(IOException.class, "then there is no end", () -> {
            failed.finish();
            return null;
        });
        failed.close();
        check(!opens(client, part), "and nothing whole, even if the stream below takes the rest");
    }

    private static void ranges(Cmek client, Zone zone, Path folder) throws Exception {
        byte[] data = sample(12 * CHUNK + 77);
        Path file = folder.resolve("sealed");
        Files.write(file, sealed(zone, data, CHUNK));
        try (FileChannel from = FileChannel.open(file); SeekableByteChannel channel = client.channel(from, Options.NONE)) {
            check(channel.size() == data.length, "a channel knows how much there is");
            ByteBuffer part = ByteBuffer.allocate(100);
            channel.position(5 * CHUNK - 50).read(part);
            check(Arrays.equals(part.array(), Arrays.copyOfRange(data, 5 * CHUNK - 50, 5 * CHUNK + 50)), "100 bytes over the end of a chunk are right");
            ByteBuffer rest = ByteBuffer.allocate(data.length);
            channel.position(3);
            while (channel.read(rest) > 0) {
                continue;
            }
            check(Arrays.equals(Arrays.copyOf(rest.array(), rest.position()), Arrays.copyOfRange(data, 3, data.length)), "so is the rest of it");
            check(channel.read(part.clear()) == -1, "behind the end there is nothing");
        }
        for (int change : new int[] {-CHUNK - 16, -1, 16}) {
            Path other = folder.resolve("changed");
            Files.write(other, Arrays.copyOf(Files.readAllBytes(file), (int) Files.size(file) + change));
            try (FileChannel from = FileChannel.open(other)) {
                raised(CmekException.Damaged.class, "an object of " + change + " bytes is damaged at once", () -> client.channel(from, Options.NONE));
            }
        }
    }

    private static void files(Cmek client, Zone zone, Path folder) throws Exception {
        Path plain = folder.resolve("a"), sealed = folder.resolve("b"), back = folder.resolve("c");
        Files.write(plain, sample(200000));
        zone.sealFile(plain, sealed, Options.NONE);
        client.unsealFile(sealed, back, Options.NONE);
        check(Arrays.equals(Files.readAllBytes(back), sample(200000)), "a file comes back");
        raised(CmekException.Refused.class, "what is there is not replaced", () -> {
            zone.sealFile(plain, sealed, Options.NONE);
            return null;
        });
        zone.sealFile(plain, sealed, Options.NONE.replacing());
        raised(CmekException.NotFound.class, "a file that is not there is told", () -> {
            zone.sealFile(folder.resolve("nothing"), back, Options.NONE.replacing());
            return null;
        });
        Files.write(plain, sample((9 << 20) + 5));
        zone.sealFile(plain, sealed, Options.NONE.replacing().threads(3));
        client.unsealFile(sealed, back, Options.NONE.replacing().threads(Options.ALL_PROCESSORS));
        check(Files.mismatch(plain, back) == -1, "a large file that several threads share comes back");
        raised(IllegalArgumentException.class, "a number of threads below none is refused", () -> Options.NONE.threads(-2));
    }

    private static void threads(Cmek client, Zone zone) throws Exception {
        AtomicInteger wrong = new AtomicInteger();
        Thread[] together = IntStream.range(0, 8).mapToObj(number -> new Thread(() -> {
            for (int i = 0; i < 30; i++) {
                try {
                    byte[] data = (number + "/" + i).getBytes(StandardCharsets.UTF_8);
                    wrong.addAndGet(Arrays.equals(client.unseal(zone.seal(data)), data) ? 0 : 1);
                } catch (IOException error) {
                    wrong.incrementAndGet();
                }
            }
        })).toArray(Thread[]::new);
        for (Thread thread : together) {
            thread.start();
        }
        for (Thread thread : together) {
            thread.join();
        }
        check(wrong.get() == 0, "eight threads share a client and a zone");
    }

    /** Gives the header at once, and what follows when it may. */
    private static final class Late extends InputStream {
        private final InputStream from;
        private final CountDownLatch asked = new CountDownLatch(1);
        private final CountDownLatch may = new CountDownLatch(1);
        private boolean late;

        Late(byte[] data) {
            from = new ByteArrayInputStream(data);
        }

        @Override
        public int read() throws IOException {
            throw new IOException("by pieces");
        }

        @Override
        public int read(byte[] out, int offset, int length) throws IOException {
            try {
                if (late) {
                    asked.countDown();
                    may.await();
                }
            } catch (InterruptedException error) {
                throw new IOException(error);
            }
            return from.read(out, offset, length);
        }
    }

    private static void closedMeanwhile(Cmek client, Zone zone) throws Exception {
        Late from = new Late(sealed(zone, sample(3 * CHUNK), CHUNK));
        InputStream in = client.inputStream(from, Options.NONE);
        AtomicInteger got = new AtomicInteger(-2);
        from.late = true;
        Thread reads = new Thread(() -> {
            try {
                got.set(in.read());
            } catch (IOException error) {
                got.set(-3);
            }
        });
        Thread closes = new Thread(() -> {
            try {
                in.close();
            } catch (IOException error) {
                got.set(-4);
            }
        });
        reads.start();
        from.asked.await();
        closes.start();
        while (closes.getState() != Thread.State.BLOCKED && closes.isAlive()) {
            Thread.onSpinWait();
        }
        from.may.countDown();
        reads.join();
        closes.join();
        check(got.get() == sample(1)[0], "a stream that another thread closes gives what was being read");
        raised(IOException.class, "and nothing more", in::read);
        SealedOutput[] own = new SealedOutput[1];
        OutputStream closing = new OutputStream() {
            @Override
            public void write(int one) {}

            @Override
            public void write(byte[] data, int offset, int length) {
                if (own[0] != null) {
                    own[0].abandon();
                }
            }
        };
        own[0] = zone.outputStream(closing, Options.NONE);
        raised(IllegalStateException.class, "a stream does not free the one that calls it", () -> {
            own[0].write(sample(3 * CHUNK));
            return null;
        });
        own[0].abandon();
        raised(IllegalArgumentException.class, "a text that C would cut off is refused", () -> client.zone("prod/orders\0x"));
        raised(IllegalArgumentException.class, "also a PIN", () -> Cmek.open(null, null, null, "1234\0"));
    }

    /** What is no text, and what binds nothing, is told and not taken for something else. */
    private static void names(Cmek client, Zone zone) throws Exception {
        raised(IllegalArgumentException.class, "half of a character is no name", () -> Options.name("row/\ud800"));
        raised(IllegalArgumentException.class, "nor a database's", () -> client.zone("prod/\udfff"));
        raised(IllegalArgumentException.class, "nor a PIN", () -> Cmek.open(null, null, null, "1234\ud800"));
        raised(IllegalArgumentException.class, "an empty name is refused, since it binds nothing", () -> Options.name(""));
        raised(IllegalArgumentException.class, "also one of bytes", () -> Options.name(new byte[0]));
        byte[] sealed = zone.seal(sample(7), Options.name("\ud83d\ude00 ä"));
        check(Arrays.equals(client.unseal(sealed, Options.name("\ud83d\ude00 ä".getBytes(StandardCharsets.UTF_8))), sample(7)),
                "a name outside of ASCII is its UTF-8");
    }

    /** java.sh made two files: one whose name is no text, and one that is called as Java shows the first. */
    private static void paths(Cmek client, Zone zone, Path folder) throws Exception {
        int seen = 0, refused = 0;
        Path out = folder.resolve("out");
        try (DirectoryStream<Path> all = Files.newDirectoryStream(folder, "b*r")) {
            for (Path path : all) {
                seen++;
                try {
                    zone.sealFile(path, out, Options.NONE.replacing());
                } catch (IllegalArgumentException error) {
                    refused++;
                    raised(IllegalArgumentException.class, "nor is it written over", () -> {
                        client.unsealFile(out, path, Options.NONE.replacing());
                        return null;
                    });
                }
            }
        }
        check(seen == 2 && refused == 1, "a file whose name can't be said is not taken for another (" + seen + ", " + refused + ")");
        check(new String(client.unseal(Files.readAllBytes(out)), StandardCharsets.UTF_8).equals("text"), "and the other one is sealed");
    }

    /** Where file names are in another charset: java.sh made "bär" so. */
    private static void latin(Path folder) throws Exception {
        Path out = folder.resolve("ä.cmek");
        try (Cmek client = Cmek.open()) {
            client.zone("prod/orders").sealFile(folder.resolve("bär"), out, Options.NONE);
            check(new String(client.unseal(Files.readAllBytes(out)), StandardCharsets.UTF_8).equals("latin"),
                    "paths go to C in the charset of the file system, " + System.getProperty("sun.jnu.encoding"));
        }
    }

    private static MethodHandle late(String name, FunctionDescriptor what) {
        SymbolLookup library = SymbolLookup.libraryLookup(System.getenv("CMEK_LIBRARY"), Arena.global());
        return Linker.nativeLinker().downcallHandle(library.find(name).orElseThrow(), what);
    }

    private static int late(String name) {
        return Native.plain(() -> (int) late(name, FunctionDescriptor.of(ValueLayout.JAVA_INT)).invokeExact());
    }

    private static void lately(String name) {
        Native.plain(() -> {
            late(name, FunctionDescriptor.ofVoid()).invokeExact();
            return null;
        });
    }

    /** By late.c's libcmek. */
    private static void lives() throws Exception {
        Cmek client = Cmek.open();
        Zone zone = client.zone("prod/orders");
        check(client.zone("prod/orders") == zone, "a database that is asked for again is the same zone");
        for (int i = 0; i < 100; i++) {
            client.zone(Long.toString(zone.id())).seal(sample(1));
        }
        check(late("late_zones") == 1, "so C has it once");
        check(client.zone("prod/users").id() != zone.id() && late("late_zones") == 2, "another one is another's");
        for (int i = 0; i < 1000 && late("late_zones") > 1; i++) {
            System.gc();
            Thread.sleep(1);
            client.zone("prod/orders");
        }
        check(late("late_zones") == 1, "which goes when nobody has it");
        lately("late_begin");
        boolean[] sealed = new boolean[1];
        Thread seals = new Thread(() -> {
            try {
                sealed[0] = zone.seal(sample(5)).length > 5;
            } catch (IOException | RuntimeException error) {
                System.out.println("# " + error);
            }
        });
        seals.start();
        lately("late_await");
        client.close();
        lately("late_end");
        seals.join();
        check(late("late_found") == 1, "a client that is closed as a message is sealed does not free its zone under it");
        check(sealed[0] && late("late_zones") == 0, "but afterwards");
        wantedZoneLives();
    }

    /** A zone that is wanted may be another client's, which somebody closes meanwhile. */
    private static void wantedZoneLives() throws Exception {
        boolean[] opened = new boolean[1];
        Cmek other = Cmek.open();
        try (Cmek client = Cmek.open()) {
            byte[] sealed = client.zone("prod/orders").seal(sample(5));
            Options wanted = Options.NONE.of(other.zone("prod/orders"));
            int before = late("late_zones");
            lately("late_begin");
            Thread opens = new Thread(() -> {
                try {
                    opened[0] = client.unseal(sealed, wanted).length == 5;
                } catch (IOException | RuntimeException error) {
                    System.out.println("# " + error);
                }
            });
            opens.start();
            lately("late_await");
            other.close();
            lately("late_end");
            opens.join();
            check(late("late_found") == before, "another client that is closed as its zone is wanted does not free that under the call");
            check(opened[0] && late("late_zones") == before - 1, "but afterwards");
        }
    }

    private static void closing() throws Exception {
        Cmek client = Cmek.open();
        Zone zone = client.zone("prod/orders");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        SealedOutput stream = zone.outputStream(out, Options.NONE);
        client.close();
        raised(IllegalStateException.class, "a closed client is told", () -> client.zone("prod/orders"));
        raised(IllegalStateException.class, "and so is its zone", () -> zone.seal(new byte[1]));
        stream.write(sample(10));
        stream.finish();
        stream.close();
        try (Cmek again = Cmek.open()) {
            byte[] sealed = out.toByteArray();
            check(Arrays.equals(again.unseal(sealed), sample(10)), "a stream that was open goes to its end");
            Options closed = Options.NONE.of(zone);
            raised(IllegalStateException.class, "a zone of a client that is closed can't be wanted", () -> again.unseal(sealed, closed));
            raised(IllegalStateException.class, "in a stream either", () -> again.inputStream(new ByteArrayInputStream(sealed), closed));
            check(Arrays.equals(again.unseal(sealed), sample(10)), "and nothing is lost by that");
        }
    }

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        switch (arguments.length > 1 ? arguments[1] : "") {
            case "lives" -> lives();
            case "latin" -> latin(folder);
            default -> all(folder);
        }
        System.out.println("1.." + count);
        System.exit(failed > 0 ? 1 : 0);
    }

    private static void all(Path folder) throws Exception {
        try (Cmek client = Cmek.open()) {
            Zone zone = client.zone("prod/orders");
            messages(client, zone);
            names(client, zone);
            paths(client, zone, folder);
            streams(client, zone);
            halves(client, zone);
            ranges(client, zone, folder);
            files(client, zone, folder);
            threads(client, zone);
            closedMeanwhile(client, zone);
        }
        closing();
    }
}
