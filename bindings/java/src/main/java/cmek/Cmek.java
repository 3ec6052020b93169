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
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

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
    private final List<Zone> zones = new ArrayList<>();
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
            Object[] texts = {module, configuration, project, pin};
            for (int i = 0; i < texts.length; i++) {
                options.set(ADDRESS, 8 + 8L * i, texts[i] == null ? MemorySegment.NULL : Native.text(arena, texts[i].toString()));
            }
            try {
                Native.check(arena, null, error -> (int) Native.OPEN.invokeExact(options, client, error));
            } finally {
                wipe(options.get(ADDRESS, 32));
            }
            return new Cmek(client.get(ADDRESS, 0));
        }
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
        take();
        try {
            Native.check(arena, null, call);
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
            zones.forEach(Zone::free);
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

    /** A database, by "CLUSTER/NAME", "PROJECT:CLUSTER/NAME", or its zone id. It lives as long as the client. */
    public Zone zone(String name) throws IOException {
        take();
        try {
            Zone zone = Zone.open(this, name);
            synchronized (this) {
                zones.add(zone);
            }
            return zone;
        } finally {
            drop();
        }
    }

    /** Opens a message, or a file's envelope in memory. */
    public byte[] unseal(byte[] sealed) throws IOException {
        return unseal(sealed, Options.NONE);
    }

    /** The same, as the options say. */
    public byte[] unseal(byte[] sealed, Options options) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment from = arena.allocate(Math.max(sealed.length, 1)), length = arena.allocate(JAVA_LONG), client = handle();
            MemorySegment.copy(sealed, 0, from, java.lang.foreign.ValueLayout.JAVA_BYTE, 0, sealed.length);
            long room = Native.plain(() -> (long) Native.UNSEALED_SIZE.invokeExact(from, (long) sealed.length));
            MemorySegment out = arena.allocate(Math.max(room, 1)), how = options.toUnseal(arena);
            check(arena, error -> (int) Native.UNSEAL.invokeExact(client, from, (long) sealed.length, how, out, room, length, error));
            byte[] plain = out.asSlice(0, length.get(JAVA_LONG, 0)).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
            out.fill((byte) 0);
            return plain;
        }
    }

    /** {@code to} appears whole or not at all. */
    public void unsealFile(Path from, Path to, Options options) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment client = handle(), in = arena.allocateFrom(from.toString()), out = arena.allocateFrom(to.toString());
            MemorySegment how = options.toUnseal(arena);
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
