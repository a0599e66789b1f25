"""Three classic series, as plain figures: `airline`, `nile`, `sunspots`."""

from typing import NamedTuple

import numpy as np


class Series(NamedTuple):
    """A series: `time` (N,), years or months, and `values` (N,) float64."""

    time: np.ndarray
    values: np.ndarray


def _figures(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=np.float64)


def airline() -> Series:
    """International airline passengers each month, in thousands, January 1949 to December 1960.

    The standard example of a seasonal series whose swings grow with its level.

    References: Series G of G. E. P. Box and G. M. Jenkins, Time Series Analysis: Forecasting and Control, 1970.

    >>> from minigen import data
    >>> months, passengers = data.airline()
    >>> print(months[0], months[-1], passengers[:3], int(passengers.sum()))
    1949-01 1960-12 [112. 118. 132.] 40363
    """
    return Series(np.arange("1949-01", "1961-01", dtype="datetime64[M]"), _figures(_AIRLINE))


def nile() -> Series:
    """Flow of the Nile at Aswan each year, in 10⁸ m³, 1871 to 1970.

    The level drops near 1899: the standard example of a random walk seen through noise.

    References: G. W. Cobb, The problem of the Nile: conditional solution to a changepoint problem, 1978.
    Figures as in J. Durbin and S. J. Koopman, Time Series Analysis by State Space Methods, 2001.

    >>> from minigen import data
    >>> years, flow = data.nile()
    >>> print(years[0], years[-1], flow[:3], flow.mean())
    1871 1970 [1120. 1160.  963.] 919.35
    """
    return Series(np.arange(1871, 1971), _figures(_NILE))


def sunspots() -> Series:
    """Mean number of sunspots each year, 1700 to 2008.

    A cycle of about eleven years that never repeats itself: the series autoregression was made for.

    References: G. U. Yule, On a method of investigating periodicities in disturbed series, 1927. Figures: the
    yearly international sunspot numbers of SIDC, Royal Observatory of Belgium, first series.

    >>> from minigen import data
    >>> years, spots = data.sunspots()
    >>> print(years[0], years[-1], spots[-3:], spots.max())
    1700 2008 [15.2  7.5  2.9] 190.2
    """
    return Series(np.arange(1700, 2009), _figures(_SUNSPOTS))


_AIRLINE = """
112 118 132 129 121 135 148 148 136 119 104 118
115 126 141 135 125 149 170 170 158 133 114 140
145 150 178 163 172 178 199 199 184 162 146 166
171 180 193 181 183 218 230 242 209 191 172 194
196 196 236 235 229 243 264 272 237 211 180 201
204 188 235 227 234 264 302 293 259 229 203 229
242 233 267 269 270 315 364 347 312 274 237 278
284 277 317 313 318 374 413 405 355 306 271 306
315 301 356 348 355 422 465 467 404 347 305 336
340 318 362 348 363 435 491 505 404 359 310 337
360 342 406 396 420 472 548 559 463 407 362 405
417 391 419 461 472 535 622 606 508 461 390 432
"""

_NILE = """
1120 1160 963 1210 1160 1160 813 1230 1370 1140 995 935 1110 994 1020 960 1180 799 958 1140 1100
1210 1150 1250 1260 1220 1030 1100 774 840 874 694 940 833 701 916 692 1020 1050 969 831 726 456
824 702 1120 1100 832 764 821 768 845 864 862 698 845 744 796 1040 759 781 865 845 944 984 897
822 1010 771 676 649 846 812 742 801 1040 860 874 848 890 744 749 838 1050 918 986 797 923 975
815 1020 906 901 1170 912 746 919 718 714 740
"""

_SUNSPOTS = """
5 11 16 23 36 58 29 20 10 8 3 0 0 2 11 27 47 63 60 39 28 26 22 11 21 40 78 122 103 73 47 35 11 5
16 34 70 81 111 101 73 40 20 16 5 11 22 40 60 80.9 83.4 47.7 47.8 30.7 12.2 9.6 10.2 32.4 47.6
54 62.9 85.9 61.2 45.1 36.4 20.9 11.4 37.8 69.8 106.1 100.8 81.6 66.5 34.8 30.6 7 19.8 92.5
154.4 125.9 84.8 68.1 38.5 22.8 10.2 24.1 82.9 132 130.9 118.1 89.9 66.6 60 46.9 41 21.3 16 6.4
4.1 6.8 14.5 34 45 43.1 47.5 42.2 28.1 10.1 8.1 2.5 0 1.4 5 12.2 13.9 35.4 45.8 41.1 30.1 23.9
15.6 6.6 4 1.8 8.5 16.6 36.3 49.6 64.2 67 70.9 47.8 27.5 8.5 13.2 56.9 121.5 138.3 103.2 85.7
64.6 36.7 24.2 10.7 15 40.1 61.5 98.5 124.7 96.3 66.6 64.5 54.1 39 20.6 6.7 4.3 22.7 54.8 93.8
95.8 77.2 59.1 44 47 30.5 16.3 7.3 37.6 74 139 111.2 101.6 66.2 44.7 17 11.3 12.4 3.4 6 32.3
54.3 59.7 63.7 63.5 52.2 25.4 13.1 6.8 6.3 7.1 35.6 73 85.1 78 64 41.8 26.2 26.7 12.1 9.5 2.7 5
24.4 42 63.5 53.8 62 48.5 43.9 18.6 5.7 3.6 1.4 9.6 47.4 57.1 103.9 80.6 63.6 37.6 26.1 14.2 5.8
16.7 44.3 63.9 69 77.8 64.9 35.7 21.2 11.1 5.7 8.7 36.1 79.7 114.4 109.6 88.8 67.8 47.5 30.6
16.3 9.6 33.2 92.6 151.6 136.3 134.7 83.9 69.4 31.5 13.9 4.4 38 141.7 190.2 184.8 159 112.3 53.9
37.6 27.9 10.2 15.1 47 93.8 105.9 105.5 104.5 66.6 68.9 38 34.5 15.5 12.6 27.5 92.5 155.4 154.6
140.4 115.9 66.6 45.9 17.9 13.4 29.4 100.2 157.6 142.6 145.7 94.3 54.6 29.9 17.5 8.6 21.5 64.3
93.3 119.6 111 104 63.7 40.4 29.8 15.2 7.5 2.9
"""
