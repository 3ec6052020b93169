// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

//! The hierarchy from Rust by cryptoki: `hierarchy MODULE`. Prints TAP.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::vendor_defined::VendorDefinedMechanism;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const TEXT: &[u8] = b"what the file says";
const CKM_CMEK_DEK_WRAP: u64 = 0x80434D02;

struct Tap {
    count: u32,
    failed: bool,
}

impl Tap {
    fn test(&mut self, sentence: &str, outcome: Outcome) {
        self.count += 1;
        match outcome {
            Ok(()) => println!("ok {} - {}", self.count, sentence),
            Err(error) => {
                self.failed = true;
                println!("not ok {} - {}\n# {}", self.count, sentence, error);
            }
        }
    }
}

fn refused<T>(answer: Result<T, Error>, code: RvError) -> Outcome {
    match answer {
        Err(Error::Pkcs11(given, _)) if given == code => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err("this was not refused".into()),
    }
}

fn same(one: Vec<u8>) -> Outcome {
    if one == TEXT { Ok(()) } else { Err("the texts differ".into()) }
}

/// Where the token wants a login.
fn pin() -> Option<String> {
    std::env::var("CMEK_TEST_PIN").ok()
}

fn open(module: &str) -> Result<Session, Box<dyn std::error::Error>> {
    let p = Pkcs11::new(module)?;
    p.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    for slot in p.get_slots_with_token()? {
        if p.get_token_info(slot)?.label() == "acme" {
            let s = p.open_rw_session(slot)?;
            if let Some(pin) = pin() {
                s.login(UserType::User, Some(&AuthPin::new(pin.into())))?;
            }
            return Ok(s);
        }
    }
    Err("no token acme".into())
}

fn find(s: &Session, label: &str) -> Result<ObjectHandle, Box<dyn std::error::Error>> {
    let found = s.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(label.into())])?;
    if found.len() == 1 { Ok(found[0]) } else { Err(format!("{} keys have the label {}", found.len(), label).into()) }
}

/// What a data key of the session is made with, and what it is unwrapped with.
fn dek() -> Vec<Attribute> {
    vec![Attribute::Token(false), Attribute::ValueLen(32.into()), Attribute::Extractable(true)]
}

fn unwrapped() -> Vec<Attribute> {
    vec![Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(KeyType::AES), Attribute::Token(false)]
}

fn seal(s: &Session, dek: ObjectHandle) -> Result<Vec<u8>, Error> {
    let (mut iv, aad) = ([7u8; 12], b"files/1");
    s.encrypt(&Mechanism::AesGcm(GcmParams::new(&mut iv, aad, 128.into())?), dek, TEXT)
}

fn unseal(s: &Session, dek: ObjectHandle, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let mut iv = [7u8; 12];
    s.decrypt(&Mechanism::AesGcm(GcmParams::new(&mut iv, aad, 128.into())?), dek, sealed)
}

fn wraps(tap: &mut Tap, s: &Session, name: &str, m: &Mechanism, ezk: ObjectHandle, users: ObjectHandle) -> Outcome {
    let dek = s.generate_key(&Mechanism::AesKeyGen, &dek())?;
    let sealed = seal(s, dek)?;
    let w = s.wrap_key(m, ezk, dek)?;
    tap.test(&format!("a data key encrypts and is wrapped by {name}"), Ok(()));
    let again = s.unwrap_key(m, ezk, &w, &unwrapped())?;
    tap.test(&format!("it is unwrapped by {name} and decrypts"), same(unseal(s, again, b"files/1", &sealed)?));
    let other = unseal(s, again, b"files/2", &sealed);
    tap.test(&format!("not with other associated data, after {name}"), refused(other, RvError::EncryptedDataInvalid));
    let other = s.unwrap_key(m, users, &w, &unwrapped());
    tap.test(&format!("the other zone does not unwrap it by {name}"), refused(other, RvError::WrappedKeyInvalid));
    let other = s.wrap_key(m, users, dek);
    tap.test(&format!("the other zone does not wrap it by {name}"), refused(other, RvError::KeyNotWrappable));
    Ok(())
}

/// Every object that a search without a class finds can be asked for its class and label.
fn enumerates(s: &Session) -> Outcome {
    let found = s.find_objects(&[])?;
    for object in &found {
        if s.get_attributes(*object, &[AttributeType::Class, AttributeType::Label])?.len() != 2 {
            return Err("an object does not tell its class and label".into());
        }
    }
    if found.len() < 3 { Err(format!("only {} objects", found.len()).into()) } else { Ok(()) }
}

fn hierarchy(tap: &mut Tap, s: &Session) -> Outcome {
    let (ezk, users) = (find(s, "prod/orders")?, find(s, "prod/users")?);
    tap.test("two zones are found by their labels", Ok(()));
    let dek_wrap = Mechanism::VendorDefined(VendorDefinedMechanism::new::<()>(MechanismType::new_vendor_defined(CKM_CMEK_DEK_WRAP)?, None));
    wraps(tap, s, "AES-KEY-WRAP", &Mechanism::AesKeyWrap, ezk, users)?;
    wraps(tap, s, "AES-KEY-WRAP-PAD", &Mechanism::AesKeyWrapPad, ezk, users)?;
    wraps(tap, s, "CMEK-DEK-WRAP", &dek_wrap, ezk, users)?;
    tap.test("a search without a class finds what cryptoki knows", enumerates(s));
    tap.test("a zone that only wraps does not encrypt", refused(seal(s, ezk), RvError::KeyFunctionNotPermitted));
    Ok(())
}

fn main() {
    let mut tap = Tap { count: 0, failed: false };
    if pin().is_none() {
        println!("# consumer: Rust cryptoki | 0.12.1 | whole hierarchy");
    }
    let module = std::env::args().nth(1).expect("the module");
    let outcome = open(&module).and_then(|s| hierarchy(&mut tap, &s));
    tap.test("the whole hierarchy is gone through", outcome);
    println!("1..{}", tap.count);
    std::process::exit(i32::from(tap.failed));
}
