// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
package cmek;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;

/** libcmek as include/cmek/cmek.h says it, by java.lang.foreign. */
final class Native {
    private static final Linker LINKER = Linker.nativeLinker();
    private static final SymbolLookup LIBRARY = load();
    private static final Charset PATHS = Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8"));

    static final MethodHandle ERROR_TEXT = of("cmek_error_text", FunctionDescriptor.of(ADDRESS, ADDRESS));
    static final MethodHandle ERROR_MAY_PASS = of("cmek_error_may_pass", FunctionDescriptor.of(JAVA_BOOLEAN, ADDRESS));
    static final MethodHandle ERROR_REQUEST_ID = of("cmek_error_request_id", FunctionDescriptor.of(ADDRESS, ADDRESS));
    static final MethodHandle ERROR_FREE = of("cmek_error_free", FunctionDescriptor.ofVoid(ADDRESS));
    static final MethodHandle VERSION = of("cmek_version", FunctionDescriptor.of(ADDRESS));
    static final MethodHandle OPEN = status("cmek_open", ADDRESS, ADDRESS);
    static final MethodHandle CLOSE = of("cmek_close", FunctionDescriptor.ofVoid(ADDRESS));
    static final MethodHandle ZONE_OPEN = status("cmek_zone_open", ADDRESS, ADDRESS, ADDRESS);
    static final MethodHandle ZONE_FREE = of("cmek_zone_free", FunctionDescriptor.ofVoid(ADDRESS));
    static final MethodHandle ZONE_ID = of("cmek_zone_id", FunctionDescriptor.of(JAVA_LONG, ADDRESS));
    static final MethodHandle ZONE_NAME = of("cmek_zone_name", FunctionDescriptor.of(ADDRESS, ADDRESS));
    static final MethodHandle ZONE_PROJECT = of("cmek_zone_project", FunctionDescriptor.of(ADDRESS, ADDRESS));
    static final MethodHandle SEALED_SIZE = of("cmek_sealed_size", FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS));
    static final MethodHandle SEAL = status("cmek_seal", ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);
    static final MethodHandle UNSEALED_SIZE = of("cmek_unsealed_size", FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG));
    static final MethodHandle UNSEAL = status("cmek_unseal", ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);
    static final MethodHandle SEAL_FILE = status("cmek_seal_file", ADDRESS, ADDRESS, ADDRESS, JAVA_BOOLEAN, ADDRESS);
    static final MethodHandle UNSEAL_FILE = status("cmek_unseal_file", ADDRESS, ADDRESS, ADDRESS, JAVA_BOOLEAN, ADDRESS);
    static final MethodHandle WRITER_NEW = status("cmek_writer_new", ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
    static final MethodHandle WRITER_PUT = status("cmek_writer_put", ADDRESS, ADDRESS, JAVA_LONG);
    static final MethodHandle WRITER_FINISH = status("cmek_writer_finish", ADDRESS);
    static final MethodHandle WRITER_FREE = of("cmek_writer_free", FunctionDescriptor.ofVoid(ADDRESS));
    static final MethodHandle READER_NEW = status("cmek_reader_new", ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
    static final MethodHandle READER_GET = status("cmek_reader_get", ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);
    static final MethodHandle READER_FREE = of("cmek_reader_free", FunctionDescriptor.ofVoid(ADDRESS));
    static final MethodHandle RANGE_NEW = status("cmek_range_new", ADDRESS, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);
    static final MethodHandle RANGE_SIZE = of("cmek_range_size", FunctionDescriptor.of(JAVA_LONG, ADDRESS));
    static final MethodHandle RANGE_READ = status("cmek_range_read", ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS);
    static final MethodHandle RANGE_FREE = of("cmek_range_free", FunctionDescriptor.ofVoid(ADDRESS));

    /** cmek_write_function, cmek_read_function, cmek_pread_function. */
    static final FunctionDescriptor ON_WRITE = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG);
    static final FunctionDescriptor ON_READ = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);
    static final FunctionDescriptor ON_PREAD = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG);

    private Native() {}

    private static SymbolLookup load() {
        String path = System.getProperty("cmek.library", System.getenv().getOrDefault("CMEK_LIBRARY", "libcmek.so.0"));
        try {
            return SymbolLookup.libraryLookup(path, Arena.global());
        } catch (IllegalArgumentException error) {
            throw new UnsatisfiedLinkError(path + " is not found; install the package libcmek0, or say in CMEK_LIBRARY where it is");
        }
    }

    private static MethodHandle of(String name, FunctionDescriptor descriptor) {
        return LINKER.downcallHandle(LIBRARY.find(name).orElseThrow(() -> new UnsatisfiedLinkError(name)), descriptor);
    }

    /** What answers a status, with an error in the last place. */
    private static MethodHandle status(String name, MemoryLayout... arguments) {
        MemoryLayout[] all = Arrays.copyOf(arguments, arguments.length + 1);
        all[arguments.length] = ADDRESS;
        return of(name, FunctionDescriptor.of(JAVA_INT, all));
    }

    /** A function of ours that C may call while `arena` lives: `name` of `target`. */
    static MemorySegment upcall(Object target, String name, FunctionDescriptor descriptor, Arena arena) {
        MethodType type = descriptor.toMethodType();
        try {
            return LINKER.upcallStub(MethodHandles.lookup().findVirtual(target.getClass(), name, type).bindTo(target), descriptor, arena);
        } catch (ReflectiveOperationException error) {
            throw new AssertionError(error);
        }
    }

    static String text(MemorySegment pointer) {
        return pointer.equals(MemorySegment.NULL) ? "" : pointer.reinterpret(Long.MAX_VALUE).getString(0);
    }

    /** All of a text, or none of it: a '?' in place of what can't be said would name another thing. */
    static byte[] bytes(String text, Charset charset) {
        try {
            ByteBuffer all = charset.newEncoder().encode(CharBuffer.wrap(text));
            byte[] bytes = new byte[all.remaining()];
            all.get(bytes);
            Arrays.fill(all.array(), (byte) 0);
            return bytes;
        } catch (CharacterCodingException error) {
            throw new IllegalArgumentException("a text that " + charset + " can't say", error);
        }
    }

    private static MemorySegment text(Arena arena, String text, Charset charset) {
        if (text.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("a text with a NUL");
        }
        byte[] bytes = bytes(text, charset);
        MemorySegment c = arena.allocate(bytes.length + 1L);
        MemorySegment.copy(bytes, 0, c, JAVA_BYTE, 0, bytes.length);
        Arrays.fill(bytes, (byte) 0);
        return c;
    }

    /** As C sees a text, which ends at its first NUL. */
    static MemorySegment text(Arena arena, String text) {
        return text(arena, text, StandardCharsets.UTF_8);
    }

    /** As the system names a file. One whose bytes are no text here, or that another file system has, can't be told to C. */
    static MemorySegment path(Arena arena, Path path) {
        if (!Path.of(path.toString()).equals(path)) {
            throw new IllegalArgumentException(path + ": a path that can't be said here; rename it, or set LC_ALL to what its name is in");
        }
        return text(arena, path.toString(), PATHS);
    }

    /**
     * Whether a call of C's is under way in what is closed by others or by the stream that C calls: nothing is freed under it. Other
     * threads wait for their turn; a stream that calls back is refused.
     */
    static final class Turn {
        private boolean taken;

        void take() {
            if (taken) {
                throw new IllegalStateException("it is called by the stream that it calls");
            }
            taken = true;
        }

        void give() {
            taken = false;
        }

        /** For what frees. */
        void check() {
            take();
            give();
        }
    }

    /**
     * What a message's call has of C's memory, but for what it makes, in one piece: each piece costs as much as the call's tenth part.
     */
    record Given(MemorySegment error, MemorySegment length, MemorySegment data) {
        static Given of(Arena arena, byte[] data) {
            MemorySegment all = arena.allocate(16L + data.length, 8), from = all.asSlice(16);
            MemorySegment.copy(data, 0, from, JAVA_BYTE, 0, data.length);
            return new Given(all.asSlice(0, 8), all.asSlice(8, 8), from);
        }

        byte[] taken(MemorySegment out) {
            return out.asSlice(0, length.get(JAVA_LONG, 0)).toArray(JAVA_BYTE);
        }
    }

    /** A call that can't fail. */
    interface Call<T> {
        T run() throws Throwable;
    }

    static <T> T plain(Call<T> call) {
        try {
            return call.run();
        } catch (RuntimeException | Error error) {
            throw error;
        } catch (Throwable error) {
            throw new AssertionError(error);
        }
    }

    /** A call that answers a status, given the place for its error. */
    interface Told {
        int run(MemorySegment error) throws Throwable;
    }

    /** Throws what it tells. `raised`: where a stream of the caller has left what it threw; may be null. */
    static void check(Arena arena, Raised raised, Told call) throws IOException {
        check(arena.allocate(ADDRESS), raised, call);
    }

    /** The same, with its place for the error, which holds NULL. */
    static void check(MemorySegment place, Raised raised, Told call) throws IOException {
        int status = plain(() -> call.run(place));
        if (status == 0) {
            return;
        }
        MemorySegment error = place.get(ADDRESS, 0);
        CmekException told = plain(() -> CmekException.of(status, text((MemorySegment) ERROR_TEXT.invokeExact(error)),
                (boolean) ERROR_MAY_PASS.invokeExact(error), text((MemorySegment) ERROR_REQUEST_ID.invokeExact(error))));
        plain(() -> {
            ERROR_FREE.invokeExact(error);
            return null;
        });
        if (raised != null) {
            raised.rethrow();
        }
        throw told;
    }

    /** What a stream of the caller threw, by thread: no exception may go through C. */
    static final class Raised {
        private static final int EIO = 5;
        private final ThreadLocal<Throwable> last = new ThreadLocal<>();

        interface Work {
            void run() throws Exception;
        }

        int guard(Work work) {
            try {
                work.run();
                return 0;
            } catch (Throwable error) {
                last.set(error);
                return EIO;
            }
        }

        private void rethrow() throws IOException {
            Throwable error = last.get();
            last.remove();
            switch (error) {
                case null -> { }
                case IOException io -> throw io;
                case RuntimeException runtime -> throw runtime;
                case Error fatal -> throw fatal;
                default -> throw new IOException(error);
            }
        }
    }
}
