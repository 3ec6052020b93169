// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
package cmek;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The module cmek-pkcs11 with its projects, by libcmek: seals data under a database's key, which a KMS key of one's own is above.
 *
 * <pre>{@code
 * try (Cmek client = Cmek.open()) {
 *     Zone zone = client.zone("prod/orders");
 *     byte[] sealed = zone.seal(row, Options.name("orders/1"));
 *     byte[] plain = client.unseal(sealed, Options.name("orders/1"));
 * }
 * }</pre>
 *
 * A client, a zone and a channel may be used by many threads at once, a stream by one at a time.
 */
public final class Cmek implements AutoCloseable {
    private final MemorySegment handle;
    private final Map<List<Object>, Held> zones = new HashMap<>();
    private final ReferenceQueue<Zone> unused = new ReferenceQueue<>();
    private int users;
    private boolean closed;

    private Cmek(MemorySegment handle) {
        this.handle = handle;
    }

    /** The module as its configuration says; asks no KMS. */
    public static Cmek open() throws IOException {
        return open(null, null, null, null);
    }

    /**
     * The same with settings of one's own; each may be null.
     *
     * @param module its path
     * @param configuration its path
     * @param project the only one that is looked at
     * @param pin of that project, or of the only one that has one
     */
    public static Cmek open(Path module, Path configuration, String project, String pin) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment options = arena.allocate(40, 8), client = arena.allocate(ADDRESS);
            options.set(JAVA_LONG, 0, 40);
            MemorySegment[] texts = {path(arena, module), path(arena, configuration), text(arena, project), text(arena, pin)};
            for (int i = 0; i < texts.length; i++) {
                options.set(ADDRESS, 8 + 8L * i, texts[i]);
            }
            try {
                Native.check(arena, null, error -> (int) Native.OPEN.invokeExact(options, client, error));
            } finally {
                wipe(options.get(ADDRESS, 32));
            }
            return new Cmek(client.get(ADDRESS, 0));
        }
    }

    private static MemorySegment path(Arena arena, Path path) {
        return path == null ? MemorySegment.NULL : Native.path(arena, path);
    }

    private static MemorySegment text(Arena arena, String text) {
        return text == null ? MemorySegment.NULL : Native.text(arena, text);
    }

    private static void wipe(MemorySegment pin) {
        if (!pin.equals(MemorySegment.NULL)) {
            MemorySegment all = pin.reinterpret(Long.MAX_VALUE);
            for (long at = 0; all.get(JAVA_BYTE, at) != 0; at++) {
                all.set(JAVA_BYTE, at, (byte) 0);
            }
        }
    }

    /** libcmek's. */
    public static String libraryVersion() {
        return Native.plain(() -> Native.text((MemorySegment) Native.VERSION.invokeExact()));
    }

    synchronized MemorySegment handle() {
        if (closed) {
            throw new IllegalStateException("the client is closed");
        }
        return handle;
    }

    /** A stream or channel, until it calls {@code drop}: C frees it first, and the client then. */
    synchronized MemorySegment take() {
        MemorySegment taken = handle();
        users++;
        return taken;
    }

    /** A call, while which no other thread frees the client. */
    void check(Arena arena, Native.Told call) throws IOException {
        check(arena.allocate(ADDRESS), call);
    }

    private void check(MemorySegment error, Native.Told call) throws IOException {
        take();
        try {
            Native.check(error, null, call);
        } finally {
            drop();
        }
    }

    synchronized void drop() {
        users--;
        free();
    }

    private void free() {
        if (closed && users == 0) {
            zones.values().forEach(Held::free);
            zones.clear();
            Native.plain(() -> {
                Native.CLOSE.invokeExact(handle);
                return null;
            });
        }
    }

    /** Streams and channels that are still open go on; everything else is of no use then. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            free();
        }
    }

    /**
     * A database, by "CLUSTER/NAME", "PROJECT:CLUSTER/NAME", or its zone id. Asked for again, it is the same object while it is used: whoever
     * needs one with data keys of its own, as after a snapshot of the running process, opens another client.
     */
    public Zone zone(String name) throws IOException {
        take();
        try {
            return held(Zone.open(this, name));
        } finally {
            drop();
        }
    }

    /** A zone of C's, which goes when nobody can reach its Zone any more. */
    private static final class Held extends WeakReference<Zone> {
        private final List<Object> key;
        private final MemorySegment handle;
        private boolean freed;

        Held(Zone zone, List<Object> key, MemorySegment handle, ReferenceQueue<Zone> unused) {
            super(zone, unused);
            this.key = key;
            this.handle = handle;
        }

        void free() {
            if (!freed) {
                freed = true;
                Zone.free(handle);
            }
        }
    }

    /** One for each database, however often it is asked for: a collector does not see what C has for each. */
    private synchronized Zone held(MemorySegment opened) {
        for (Held gone; (gone = (Held) unused.poll()) != null;) {
            zones.remove(gone.key, gone);
            gone.free();
        }
        Zone zone = new Zone(this, opened);
        List<Object> key = List.of(zone.id(), zone.name(), zone.project());
        Held before = zones.get(key);
        Zone known = before == null ? null : before.get();
        if (known != null) {
            Zone.free(opened);
            return known;
        }
        if (before != null) {
            before.free();
        }
        zones.put(key, new Held(zone, key, opened, unused));
        return zone;
    }

    /** Opens a message, or a file's envelope in memory. */
    public byte[] unseal(byte[] sealed) throws IOException {
        return unseal(sealed, Options.NONE);
    }

    /** The same, as the options say. */
    public byte[] unseal(byte[] sealed, Options options) throws IOException {
        try (Zone.Wanted wanted = options.wanted(); Arena arena = Arena.ofConfined()) {
            Native.Given given = Native.Given.of(arena, sealed);
            MemorySegment from = given.data(), length = given.length(), client = handle();
            long room = Native.plain(() -> (long) Native.UNSEALED_SIZE.invokeExact(from, (long) sealed.length));
            MemorySegment out = arena.allocate(Math.max(room, 1)), how = options.toUnseal(arena, wanted);
            try {
                check(given.error(), error -> (int) Native.UNSEAL.invokeExact(client, from, (long) sealed.length, how, out, room, length, error));
                return given.taken(out);
            } finally {
                out.fill((byte) 0); // also what was opened before a chunk that is damaged
            }
        }
    }

    /** {@code to} appears whole or not at all. */
    public void unsealFile(Path from, Path to, Options options) throws IOException {
        try (Zone.Wanted wanted = options.wanted(); Arena arena = Arena.ofConfined()) {
            MemorySegment client = handle(), in = Native.path(arena, from), out = Native.path(arena, to), how = options.toUnseal(arena, wanted);
            check(arena, error -> (int) Native.UNSEAL_FILE.invokeExact(client, in, out, options.replace(), how, error));
        }
    }

    /** What {@code from} has sealed, verified. Closing it leaves {@code from} open. */
    public InputStream inputStream(InputStream from, Options options) throws IOException {
        return new SealedInput(this, from, options);
    }

    /** A sealed object that is read where one likes; read-only. Closing it leaves {@code from} open. */
    public SeekableByteChannel channel(SeekableByteChannel from, Options options) throws IOException {
        return new SealedChannel(this, from, options);
    }
}
