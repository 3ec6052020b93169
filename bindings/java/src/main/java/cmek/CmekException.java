// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
package cmek;

import java.io.IOException;

/**
 * What can go wrong, by kind. Its message says what happened to which project, database or file, and what to do. What a stream of
 * the caller throws comes out as it is, and is none of these.
 */
public class CmekException extends IOException {
    private static final long serialVersionUID = 1;
    private final boolean mayPass;
    private final String requestId;

    CmekException(String message, boolean mayPass, String requestId) {
        super(message);
        this.mayPass = mayPass;
        this.requestId = requestId;
    }

    /** Whether the same call may succeed when it is tried again. */
    public boolean mayPass() {
        return mayPass;
    }

    /** What to quote to AWS; "" where no KMS was asked. */
    public String requestId() {
        return requestId;
    }

    /** The KMS says no, the key is disabled or gone, or a PIN is missing or wrong: stop. */
    public static final class Denied extends CmekException {
        private static final long serialVersionUID = 1;

        Denied(String message, boolean mayPass, String requestId) {
            super(message, mayPass, requestId);
        }
    }

    /** KMS, credentials or store are out of reach: try again later. */
    public static final class Unavailable extends CmekException {
        private static final long serialVersionUID = 1;

        Unavailable(String message, boolean mayPass, String requestId) {
            super(message, mayPass, requestId);
        }
    }

    /** There is no such project, database, key, module or file. */
    public static final class NotFound extends CmekException {
        private static final long serialVersionUID = 1;

        NotFound(String message, boolean mayPass, String requestId) {
            super(message, mayPass, requestId);
        }
    }

    /** A rule: another zone than expected, a name that is missing or wrong, a limit, a bad argument. */
    public static final class Refused extends CmekException {
        private static final long serialVersionUID = 1;

        Refused(String message, boolean mayPass, String requestId) {
            super(message, mayPass, requestId);
        }
    }

    /** It was changed, cut short or extended; or a record or the store is damaged. */
    public static final class Damaged extends CmekException {
        private static final long serialVersionUID = 1;

        Damaged(String message, boolean mayPass, String requestId) {
            super(message, mayPass, requestId);
        }
    }

    /** Plain data, nothing at all, or another program's. */
    public static final class NotAnEnvelope extends CmekException {
        private static final long serialVersionUID = 1;

        NotAnEnvelope(String message, boolean mayPass, String requestId) {
            super(message, mayPass, requestId);
        }
    }

    /** A later release is needed to read it. */
    public static final class Newer extends CmekException {
        private static final long serialVersionUID = 1;

        Newer(String message, boolean mayPass, String requestId) {
            super(message, mayPass, requestId);
        }
    }

    /** It could be opened by a root key that no project here trusts. */
    public static final class UntrustedRoot extends CmekException {
        private static final long serialVersionUID = 1;

        UntrustedRoot(String message, boolean mayPass, String requestId) {
            super(message, mayPass, requestId);
        }
    }

    /** No memory, a module that does not work, a fault of ours. */
    public static final class Failed extends CmekException {
        private static final long serialVersionUID = 1;

        Failed(String message, boolean mayPass, String requestId) {
            super(message, mayPass, requestId);
        }
    }

    /** The kind of a status of include/cmek/cmek.h. */
    static CmekException of(int status, String text, boolean mayPass, String requestId) {
        return switch (status) {
            case 1 -> new Denied(text, mayPass, requestId);
            case 2 -> new Unavailable(text, mayPass, requestId);
            case 3 -> new NotFound(text, mayPass, requestId);
            case 4 -> new Refused(text, mayPass, requestId);
            case 5 -> new Damaged(text, mayPass, requestId);
            case 6 -> new NotAnEnvelope(text, mayPass, requestId);
            case 7 -> new Newer(text, mayPass, requestId);
            case 8 -> new UntrustedRoot(text, mayPass, requestId);
            case 9 -> new CmekException(text, mayPass, requestId);
            default -> new Failed(text, mayPass, requestId);
        };
    }
}
