// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
package cmek;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.NonWritableChannelException;
import java.nio.channels.SeekableByteChannel;

/** A sealed object that is read where one likes. */
final class SealedChannel implements SeekableByteChannel {
    private final Cmek client;
    private final SeekableByteChannel from;
    private final Native.Raised raised = new Native.Raised();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment handle;
    private final Native.Turn turn = new Native.Turn();
    private final long size;
    private long position;
    private boolean closed;

    SealedChannel(Cmek client, SeekableByteChannel from, Options options) throws IOException {
        this.from = from;
        this.client = client;
        client.take();
        boolean made = false;
        try (Zone.Wanted wanted = options.wanted(); Arena call = Arena.ofConfined()) {
            MemorySegment place = call.allocate(ADDRESS), of = client.handle(), how = options.toUnseal(call, wanted);
            MemorySegment pread = Native.upcall(this, "onPread", Native.ON_PREAD, arena);
            long sealed = from.size();
            Native.check(call, raised, error -> (int) Native.RANGE_NEW.invokeExact(of, how, pread, MemorySegment.NULL, sealed, place, error));
            handle = place.get(ADDRESS, 0);
            size = Native.plain(() -> (long) Native.RANGE_SIZE.invokeExact(handle));
            made = true;
        } finally {
            if (!made) {
                arena.close();
                client.drop();
            }
        }
    }

    int onPread(MemorySegment state, MemorySegment out, long length, long offset) {
        return raised.guard(() -> {
            ByteBuffer room = out.reinterpret(length).asByteBuffer();
            if (from instanceof FileChannel file) {
                for (long at = offset; room.hasRemaining();) {
                    at += some(file.read(room, at));
                }
                return;
            }
            synchronized (from) {
                from.position(offset);
                while (room.hasRemaining()) {
                    some(from.read(room));
                }
            }
        });
    }

    private static int some(int count) throws EOFException {
        if (count <= 0) {
            throw new EOFException("the object is shorter than its size");
        }
        return count;
    }

    @Override
    public synchronized int read(ByteBuffer out) throws IOException {
        check();
        if (position >= size) {
            return -1;
        }
        turn.take();
        try (Arena call = Arena.ofConfined()) {
            long room = Math.min(out.remaining(), size - position), at = position;
            MemorySegment plain = call.allocate(Math.max(room, 1)), got = call.allocate(JAVA_LONG);
            try {
                Native.check(call, raised, error -> (int) Native.RANGE_READ.invokeExact(handle, plain, room, at, got, error));
                int count = (int) got.get(JAVA_LONG, 0);
                out.put(plain.asSlice(0, count).asByteBuffer());
                position += count;
                return count;
            } finally {
                plain.fill((byte) 0);
            }
        } finally {
            turn.give();
        }
    }

    private void check() throws ClosedChannelException {
        if (closed) {
            throw new ClosedChannelException();
        }
    }

    @Override
    public synchronized long position() throws ClosedChannelException {
        check();
        return position;
    }

    @Override
    public synchronized SeekableByteChannel position(long at) throws ClosedChannelException {
        check();
        if (at < 0) {
            throw new IllegalArgumentException("position " + at);
        }
        position = at;
        return this;
    }

    @Override
    public synchronized long size() throws ClosedChannelException {
        check();
        return size;
    }

    @Override
    public int write(ByteBuffer data) {
        throw new NonWritableChannelException();
    }

    @Override
    public SeekableByteChannel truncate(long length) {
        throw new NonWritableChannelException();
    }

    @Override
    public synchronized boolean isOpen() {
        return !closed;
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            turn.check();
            closed = true;
            Native.plain(() -> {
                Native.RANGE_FREE.invokeExact(handle);
                return null;
            });
            arena.close();
            client.drop();
        }
    }
}
