"""English songs whose melody and words are both in the public domain, first printed before 1900, typed in here from memory.

A line that begins with | is a phrase: notes, each with its length in beats, 1 where none stands; below it the words of its verses.
Syllables are parted by hyphens, _ carries one on to the next note. Keys are those that read well: singing transposes them.
"""

from typing import NamedTuple

from sgaudio.errors import ConfigError
from sgaudio.scores.lyrics import syllables
from sgaudio.scores.score import midi_number


class Tone(NamedTuple):
    """A note: MIDI number and length in beats."""

    pitch: float
    beats: float


class Phrase(NamedTuple):
    """Notes and their words, a syllable or _ for each."""

    tones: tuple[Tone, ...]
    words: str


class Song(NamedTuple):
    """Its verses, each a list of phrases, and how many beats a minute has."""

    tempo: float
    verses: tuple[tuple[Phrase, ...], ...]


def song(tempo: float, text: str) -> Song:
    """
    Raises:
        ConfigError: names the phrase whose notes and syllables do not match in number.
    """
    lines = list[tuple[tuple[Tone, ...], list[str]]]()
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("|"):
            notes = (note.partition("/") for note in line[1:].split())
            lines.append((tuple(Tone(midi_number(name), float(beats or 1)) for name, _, beats in notes), []))
        else:
            tones, words = lines[-1]
            if len(tones) != len(syllables(line)):
                raise ConfigError(f"songs: {line!r}: {len(syllables(line))} syllables for {len(tones)} notes")
            words.append(line)
    count = max(len(words) for _, words in lines)
    verses = (tuple(Phrase(tones, words[verse]) for tones, words in lines if verse < len(words)) for verse in range(count))
    return Song(tempo, tuple(verses))


SONGS = {
    # "Ah! vous dirai-je, maman", Paris 1761; Jane Taylor, Rhymes for the Nursery, 1806
    "twinkle_twinkle": song(
        108,
        """
        | C4 C4 G4 G4 A4 A4 G4/2
        Twin-kle, twin-kle, lit-tle star,
        When the bla-zing sun is gone,
        | F4 F4 E4 E4 D4 D4 C4/2
        How I won-der what you are!
        When he no-thing shines up-on,
        | G4 G4 F4 F4 E4 E4 D4/2
        Up a-bove the world so high,
        Then you show your lit-tle light,
        | G4 G4 F4 F4 E4 E4 D4/2
        Like a dia-mond in the sky.
        Twin-kle, twin-kle, all the night.
        """,
    ),
    # Tommy Thumb's Pretty Song Book, 1744; printed with a form of the tune of 1761 by A. H. Rosewig, Philadelphia 1879
    "baa_baa_black_sheep": song(
        104,
        """
        | C4 C4 G4 G4 A4/.5 B4/.5 C5/.5 A4/.5 G4/2
        Baa, baa, black sheep, have you a-ny wool?
        | F4 F4 E4 E4 D4 D4 C4/2
        Yes, sir, yes, sir, three bags full:
        | G4 G4/.5 G4/.5 F4 F4/.5 F4/.5 E4 E4/.5 E4/.5 D4/2
        One for the mas-ter, and one for the dame,
        | G4 G4/.5 G4/.5 F4/.5 F4/.5 F4/.5 F4/.5 E4 E4/.5 E4/.5 D4/2
        One for the lit-tle boy who lives down the lane.
        """,
    ),
    # Sarah Josepha Hale 1830; tune of E. P. Christy's "Goodnight Ladies" (Merrily we roll along), 1867
    "mary_had_a_little_lamb": song(
        112,
        """
        | E4/1.5 D4/.5 C4 D4 E4 E4 E4/2
        Ma-ry had a lit-tle lamb,
        | D4 D4 D4/2 E4 G4 G4/2
        lit-tle lamb, lit-tle lamb,
        | E4/1.5 D4/.5 C4 D4 E4 E4 E4 E4
        Ma-ry had a lit-tle lamb, its
        | D4 D4 E4 D4 C4/3
        fleece was white as snow.
        """,
    ),
    # Words 1744; with this tune by A. H. Rosewig, Philadelphia 1879
    "london_bridge": song(
        116,
        """
        | G4/1.5 A4/.5 G4 F4 E4 F4 G4/2
        Lon-don Bridge is fall-ing down,
        Build it up with wood and clay,
        I-ron bars will bend and break,
        | D4 E4 F4/2 E4 F4 G4/2
        fall-ing down, fall-ing down,
        wood and clay, wood and clay,
        bend and break, bend and break,
        | D4/2 G4/2 E4 C4/3
        My fair la-dy.
        My fair la-dy.
        My fair la-dy.
        """,
    ),
    # Words 1852; tune by Eliphalet Oram Lyte, The Franklin Square Song Collection, 1881
    "row_your_boat": song(
        100,
        """
        | C4/1.5 C4/1.5 C4 D4/.5 E4/1.5
        Row, row, row your boat,
        | E4 D4/.5 E4 F4/.5 G4/3
        Gent-ly down the stream,
        | C5/.5 C5/.5 C5/.5 G4/.5 G4/.5 G4/.5 E4/.5 E4/.5 E4/.5 C4/.5 C4/.5 C4/.5
        Mer-ri-ly, mer-ri-ly, mer-ri-ly, mer-ri-ly,
        | G4 F4/.5 E4 D4/.5 C4/3
        Life is but a dream.
        """,
    ),
    # Thomas Ravenscroft, Deuteromelia, 1609; in this form by 1842
    "three_blind_mice": song(
        168,
        """
        | E4/3 D4/3 C4/5
        Three blind mice,
        | G4/3 F4/2 F4 E4/5
        See how they run!
        | G4 C5/2 C5 B4 A4 B4 C5/2 G4 G4/2
        They all ran af-ter the farm-er's wife,
        | G4 C5 C5 C5 B4 A4 B4 C5/2 G4 G4/2
        Who cut off their tails with a carv-ing knife,
        | G4 C5 C5 C5 B4 A4 B4 C5 G4 G4 G4/2
        Did you ev-er see such a thing in your life
        | F4 E4/3 D4/3 C4/5
        As three blind mice?
        """,
    ),
    # London 1853 to 1855
    "pop_goes_the_weasel": song(
        176,
        """
        | C4/2 C4 D4/2 D4 E4 G4 E4 C4/3
        Up and down the Ci-_-ty Road,
        | C4/2 C4 D4/2 D4 E4/3 C4/3
        In and out the Ea-gle,
        | C4/2 C4 D4/2 D4 E4 G4 E4 C4/3
        That's the way the mon-_-ey goes:
        | A4/3 D4/2 F4 E4/3 C4/3
        Pop! goes the wea-sel.
        """,
    ),
    # Words by 1775; tune printed by James Aird, Glasgow 1782
    "yankee_doodle": song(
        120,
        """
        | C5 C5 D5 E5 C5 E5 D5/2
        Yan-kee Doo-dle went to town
        | G4 C5 C5 D5 E5 C5/2 B4/2
        A rid-ing on a po-ny,
        | C5 C5 D5 E5 F5 E5 D5
        Stuck a fea-ther in his cap
        | C5 B4 G4 A4 B4 C5/2 C5/2
        And called it mac-a-ro-ni.
        | A4/1.5 B4/.5 A4 G4 A4 B4 C5/2
        Yan-kee Doo-dle, keep it up,
        | G4/1.5 A4/.5 G4 F4 E4/2 G4/2
        Yan-kee Doo-dle dan-dy,
        | A4/1.5 B4/.5 A4 G4 A4 B4 C5
        Mind the mu-sic and the step,
        | A4 G4 C5 B4 D5 C5/2 C5/2
        And with the girls be han-dy.
        """,
    ),
    # Stephen Foster 1848
    "oh_susanna": song(
        112,
        """
        | C4/.5 D4/.5 E4 G4 G4/1.5 A4/.5 G4 E4 C4/1.5 D4/.5 E4 E4 D4 C4 D4/2
        Oh, I come from Al-a-ba-ma with my ban-jo on my knee,
        It _ rained all night the day I left, the wea-ther it was dry;
        | C4/.5 D4/.5 E4 G4 G4/1.5 A4/.5 G4 E4 C4/1.5 D4/.5 E4 E4 D4 D4 C4/3
        I'm go-ing to Lou-i-si-an-a, my true love for to see.
        The _ sun so hot I froze to death; Su-san-na, don't you cry.
        | F4/2 F4/2 A4 A4/2 A4 G4 G4 E4 C4 D4/2
        Oh! Su-san-na, oh don't you cry for me;
        | C4/.5 D4/.5 E4 G4 G4/1.5 A4/.5 G4 E4 C4/1.5 D4/.5 E4 E4 D4 D4 C4/3
        For I come from Al-a-ba-ma with my ban-jo on my knee.
        """,
    ),
    # Percy Montrose 1884
    "clementine": song(
        92,
        """
        | F4/.5 F4/.5 F4 C4 A4/.5 A4/.5 A4 F4 F4/.5 A4/.5 C5 C5 Bb4/.5 A4/.5 G4/2
        In a ca-vern, in a can-yon, ex-ca-va-ting for a mine,
        Oh my dar-ling, oh my dar-ling, oh my dar-ling Clem-en-tine,
        Light she was and like a fair-y, and her shoes were num-ber nine;
        | G4/.5 A4/.5 Bb4 Bb4 A4/.5 G4/.5 A4 F4 F4/.5 A4/.5 G4 C4 E4/.5 G4/.5 F4/2
        Dwelt a min-er, for-ty nin-er, and his daugh-ter Clem-en-tine.
        You are lost and gone for-ev-er, dread-ful sor-ry, Clem-en-tine.
        Her-ring box-es with-out top-ses, san-dals were for Clem-en-tine.
        """,
    ),
    # William H. Hills, Student Songs, 1881
    "my_bonnie": song(
        138,
        """
        | D4 B4/1.5 A4/.5 G4 A4 G4 E4 D4/2 B3/3
        My Bon-nie lies o-ver the o-cean,
        Last night as I lay on my pil-low,
        | D4 B4/1.5 A4/.5 G4 G4 F#4 G4 A4/4
        My Bon-nie lies o-ver the sea,
        Last night as I lay on my bed,
        | D4 B4/1.5 A4/.5 G4 A4 G4 E4 D4/2 B3/3
        My Bon-nie lies o-ver the o-cean,
        Last night as I lay on my pil-low,
        | D4 E4 A4 G4 F#4 E4 F#4 G4/4
        Oh, bring back my Bon-nie to me.
        I dreamed that my Bon-nie was dead.
        | D4/3 G4/3 E4/3 A4/2 A4 F#4 F#4 F#4 F#4 E4 F#4 G4 A4 B4/3
        Bring back, bring back, oh, bring back my Bon-nie to me, to me.
        """,
    ),
    # Robert Burns 1788; with this tune in George Thomson's collection, 1799
    "auld_lang_syne": song(
        96,
        """
        | C4 F4/1.5 F4/.5 F4 A4 G4/1.5 F4/.5 G4
        Should auld ac-quain-tance be for-got,
        We two have paid-led in the burn,
        | A4 F4/1.5 F4/.5 A4 C5 D5/3
        And ne-ver brought to mind?
        From morn-ing sun till dine,
        | D5 C5/1.5 A4/.5 A4 F4 G4/1.5 F4/.5 G4
        Should auld ac-quain-tance be for-got,
        But seas be-tween us broad have roared
        | A4 F4/1.5 D4/.5 D4 C4 F4/3
        And auld _ lang _ syne?
        Since auld _ lang _ syne.
        | D5 C5/1.5 A4/.5 A4 F4 G4/1.5 F4/.5 G4
        For auld _ lang _ syne, my dear,
        | A4 F4/1.5 F4/.5 A4 C5 D5/3
        For auld _ lang _ syne,
        | D5 C5/1.5 A4/.5 A4 F4 G4/1.5 F4/.5 G4
        We'll take a cup of kind-ness yet,
        | A4 F4/1.5 D4/.5 D4 C4 F4/3
        For auld _ lang _ syne.
        """,
    ),
    # John Newton 1779; New Britain, Southern Harmony, 1835
    "amazing_grace": song(
        92,
        """
        | D4 G4/2 B4/.5 G4/.5 B4/2 A4 G4/2 E4 D4/2
        A-ma-zing _ grace! how sweet the sound
        'Twas grace that _ taught my heart to fear,
        Through ma-ny _ dan-gers, toils and snares
        | D4 G4/2 B4/.5 G4/.5 B4/2 A4 D5/4
        That saved a _ wretch like me!
        And grace my _ fears re-lieved;
        I have al-_-rea-dy come;
        | B4 D5/2 B4/.5 G4/.5 D4/2 E4 G4/2 G4/.5 E4/.5 D4/2
        I once was _ lost, but now am _ found,
        How pre-cious _ did that grace ap-_-pear
        'Tis grace hath _ brought me safe thus _ far,
        | D4 G4/2 B4/.5 G4/.5 B4/2 A4 G4/4
        Was blind, but _ now I see.
        The hour I _ first be-lieved!
        And grace will _ lead me home.
        """,
    ),
    # Loys Bourgeois, Geneva 1551; William Kethe 1561
    "old_hundredth": song(
        84,
        """
        | G4/2 G4 F#4 E4 D4 G4 A4 B4/2
        All peo-ple that on earth do dwell,
        The Lord, ye know, is God in-deed;
        | B4/2 B4 B4 A4 G4 C5 B4 A4/2
        Sing to the Lord with cheer-ful voice;
        With-out our aid he did us make;
        | G4/2 A4 B4 A4 G4 E4 F#4 G4/2
        Him serve with fear, his praise forth tell;
        We are his folk, he doth us feed,
        | D5/2 B4 G4 A4 C5 B4 A4 G4/2
        Come ye be-fore him, and re-joice.
        And for his sheep he doth us take.
        """,
    ),
    # Franz Xaver Gruber 1818; in English by John Freeman Young, 1859
    "silent_night": song(
        126,
        """
        | G4/1.5 A4/.5 G4 E4/3 G4/1.5 A4/.5 G4 E4/3
        Si-_-lent night, ho-_-ly night,
        | D5/2 D5 B4/3 C5/2 C5 G4/3
        All is calm, all is bright
        | A4/2 A4 C5/1.5 B4/.5 A4 G4/1.5 A4/.5 G4 E4/3
        Round yon vir-_-gin moth-er and child,
        Ho-ly in-fant so ten-der and mild,
        | D5/2 D5 F5/1.5 D5/.5 B4 C5/3 E5/3
        Sleep in hea-ven-ly peace, _
        | C5 G4 E4 G4/1.5 F4/.5 D4 C4/3
        Sleep _ in hea-ven-ly peace.
        """,
    ),
    # Isaac Watts 1719; Antioch, Lowell Mason 1839
    "joy_to_the_world": song(
        108,
        """
        | C5/2 B4/1.5 A4/.5 G4/3 F4 E4/2 D4/2 C4/3
        Joy to the world! the Lord is come;
        | G4 A4/3 A4 B4/3 B4 C5/3
        Let earth re-ceive her King;
        | C5 C5 B4 A4 G4 G4/1.5 F4/.5 E4
        Let eve-_-ry _ heart _ _
        | C5 C5 B4 A4 G4 G4/1.5 F4/.5 E4
        pre-pare _ him _ room, _ _
        | E4 E4 E4 E4/.5 F4/.5 G4/3
        And heaven and na-ture sing,
        """,
    ),
    # William Sandys, Christmas Carols, 1833
    "the_first_nowell": song(
        100,
        """
        | F#4/.5 E4/.5 D4/1.5 E4/.5 F#4/.5 G4/.5 A4/2 B4/.5 C#5/.5 D5 C#5 B4 A4/2
        The _ first _ No-_-well, the _ an-gel did say,
        In _ fields _ where _ they lay _ keep-ing their sheep,
        | B4/.5 C#5/.5 D5 C#5 B4 A4 B4 C#5 D5 A4 G4 F#4/2
        Was to cer-tain poor shep-herds in fields as they lay;
        On a cold win-ter's night that was so _ _ deep.
        | F#4/.5 E4/.5 D4/1.5 E4/.5 F#4/.5 G4/.5 A4/2 D5/.5 C#5/.5 B4/2 B4 A4/3
        No-_-well, _ No-_-well, No-_-well, No-well,
        | D5 C#5 B4 A4 B4 C#5 D5 A4 G4 F#4/2
        Born is the King of _ Is-_-ra-el.
        """,
    ),
    # John Francis Wade 1751; in English by Frederick Oakeley, 1852
    "o_come_all_ye_faithful": song(
        108,
        """
        | G4 G4/2 D4 G4 A4/2 D4/2 B4 A4 B4 C5 B4/2 A4/2
        O come, all ye faith-ful, joy-ful and tri-um-phant,
        | D5/2 C5 B4 C5/2 B4/2 A4 B4 G4 A4 F#4/1.5 E4/.5 D4/2
        Come and be-hold him, born the King of an-_-gels:
        | G4 G4 F#4 G4 A4 G4/2 D4/2
        O come, let us a-dore him,
        | B4 B4 A4 B4 C5 B4/2 A4/2
        O come, let us a-dore him,
        | B4 C5 B4 A4 G4 F#4/2 G4 C5 B4/2 A4 G4/3
        O come, let us a-dore him, Christ _ the Lord.
        """,
    ),
    # Richard Jones, London 1580; words from A Handful of Pleasant Delights, 1584
    "greensleeves": song(
        126,
        """
        | A4 C5/2 D5 E5/1.5 F5/.5 E5 D5/2 B4 G4/1.5 A4/.5
        A-las, my love, _ you do me wrong _
        | B4 C5/2 A4 A4/1.5 G#4/.5 A4 B4/2 G#4 E4/2
        To cast me off _ dis-cour-teous-ly,
        | G5/3 G5/1.5 F5/.5 E5 D5/2 B4 G4/1.5 A4/.5
        Green-sleeves _ was all my joy, _
        Green-sleeves _ was my de-light, _
        | B4 C5/1.5 B4/.5 A4 G#4/1.5 F#4/.5 G#4 A4/2 A4 A4/2
        And who _ but my _ la-dy Green-sleeves?
        """,
    ),
    # William Sandys, Christmas Carols, 1833; words by 1760
    "god_rest_you_merry": song(
        120,
        """
        | E4 E4 B4 B4 A4 G4 F#4 E4 D4 E4 F#4 G4 A4 B4/3
        God rest you mer-ry, gen-tle-men, let no-thing you dis-may,
        Re-mem-ber Christ our Sa-viour _ was born on Christ-mas day,
        | B4 C5 A4 B4 C5 D5 E5 B4 A4 G4 E4 F#4 G4 A4/2
        To save us all from Sa-tan's power when we were gone a-stray.
        """,
    ),
}
