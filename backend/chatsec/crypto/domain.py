"""The one DSA domain of Chat-Sec: the 3072/256 set of docs/dsa/parameters.json (protocol §2).

Made verifiably from a published label (FIPS 186-4 A.1.1.2, A.2.3), so no key ever has to prove a foreign p.
Keys on any other domain are refused where they are judged (keys.py).
"""

from typing import NamedTuple


class DsaDomain(NamedTuple):
    """Prime p of 3072 bits, prime q of 256 bits dividing p - 1, generator g of the subgroup of order q."""

    p: int
    q: int
    g: int


DSA_3072_256 = DsaDomain(
    p=int(
        "c053e93de52a6e29b15cd69d07bd2dbe7df938b29f9ff2edb070cba983cf1269dbd6efec0e0f337003f736f09ea26e99"
        "61819b1ac3cf086be89e18c43444fb59a49691682b78d605d7af5ddaef55c2e6023dc6797b34ad2a31d6100b4c43a66f"
        "3bc40bcfb61f56b7aa23c5891d127498cecc589020a523c67ea453fe526a6199a140483c362c897506ab5f0d4a631ba6"
        "6c124ba950cfc002b2dab5bcce4f4c6896081cd932a7dfabbdeaf3e8b82c617e323b06939a2a4823526f4ba33bb88a56"
        "f519c07b4c92045e4ca07e6466281f8451d88c823d7c05d4b203d6fa15928b19c697961f77ca568598a0b5058d6ea839"
        "3adc4f806681b31fbd0781590b2d62f3bfe5dd595ae6b8f8eb58e948f3f97148642fdd4b4ad085b33bacd2861309573b"
        "2c94d8cb05962ee5cb14e809734ab1c0c4641fbf49b0aa620d3370ead5161fe92a4dab97f4eb7f762e120f083c629db9"
        "e095b42127a4df271edcea769c5a5a4da586719eef372853ee3da27990293e9c3247df06ed95e90a9f79bdfd9946cc55",
        16,
    ),
    q=int("ce217866e0a6a9f67aaeec9ca25a081f860b425abfeb6e26c668d07edc048475", 16),
    g=int(
        "125c7453c1a85216526d158996e1a7cc5fdc89e3fe92e04744f48050cb782f1f4599e72ba6c0d63d1fc33026b19b5cd7"
        "476647bee8970103b33a7544a562b2c42f21aeb83192dc734b1049b781ecc2419a9128fb6b8f7fcfe3b286556bc9e5b6"
        "944dbc51e3f913d15d4299269bdff37ccec9bb1baf4cbe63acae6fae550cdc153ead4e51cdad6e4296adf27e9089dfa0"
        "ed6883b73ab0477d239b7df53c44244bda09a16f41002b4c7bd6dd16700caf8bf594a57449c40a809ee88445a32cfb40"
        "cd32f6676c0110e44d18b97555f3d18bd9bf82c2003bc3a98d0f2da5c5ec348ce80d927ff33666d446d246d08d8d1253"
        "bb4d7fa2930f70805d4bf572cf32499e56b3af101eb5237d9a9838cb40267cc41ab379cb9d2992a4e412ce809dccbd5b"
        "c1a345dd775efcc37d52d16b710d3709d64873348486b1baee02ae4143679560234e26a9acaa16ec43de1a09aaa0f831"
        "3f51cfec38c52b125627d288c471d97f3dc6ea80d187524fdd0c2b7cb3948c482a0e303430d7a3290af2d08da470794f",
        16,
    ),
)
